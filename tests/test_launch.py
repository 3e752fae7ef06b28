"""The scripts of launch/ with a program in place of gcloud, with a preemption and a crash."""

import importlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fdjax.config import read
from fdjax.config.flags import load

ROOT = Path(__file__).parent.parent

# Takes the arguments of the real one; keeps its state and all calls in a folder. `ssh` runs the
# command in a shell with $HOME there, as the only host.
GCLOUD = r"""#!{python}
import json, os, subprocess, sys, pathlib
here = pathlib.Path({folder!r})
args = sys.argv[3:]  # behind `compute tpus`
with open(here / "calls.jsonl", "a") as file:
    file.write(json.dumps(args) + "\n")
states = json.loads((here / "states.json").read_text())  # the answers to the next requests
# Texts of calls that fail once, or hang once.
failures = json.loads((here / "failures.json").read_text())
for text in failures:
    if text.removeprefix("hangs: ") in " ".join(args):
        (here / "failures.json").write_text(json.dumps([f for f in failures if f != text]))
        if "delete" in args:  # it had its effect
            (here / "states.json").write_text('[""]')
        if text.startswith("hangs: "):
            ssh = subprocess.Popen(["sleep", "90"])
            (here / "ssh").write_text(str(ssh.pid))
            ssh.wait()
        sys.exit("ERROR: (gcloud) [/usr/bin/ssh] exited with return code [255].")
match args[:2]:
    case ["queued-resources", "list"]:
        if states[0] == "refused":
            sys.exit("ERROR: (gcloud) PERMISSION_DENIED\n- reason: no such project")
        if states[0] == "unreachable":
            (here / "states.json").write_text(json.dumps(states[1:]))
            sys.exit("the service is unreachable")
        if len(states) > 1:
            (here / "states.json").write_text(json.dumps(states[1:]))
        print(states[0])
    case ["queued-resources", "create" | "delete"]:
        pass
    case ["tpu-vm", "scp"]:
        subprocess.run(["cp", args[2], here / "home" / "fdjax.tar.gz"], check=True)
    case ["tpu-vm", "ssh"]:
        command = next(a[10:] for a in args if a.startswith("--command="))
        home = here / "home"
        env = os.environ | {{"HOME": str(home), "PATH": f"{{here}}/bin:" + os.environ["PATH"]}}
        done = subprocess.run(["bash", "-c", command], cwd=home, env=env)
        sys.exit(done.returncode)
    case _:
        sys.exit(f"no such command: {{args}}")
"""
# In place of the hosts' programs: an installation does nothing, a run prints its arguments.
SUDO = """#!/bin/bash
case "$1" in mkdir|chown) exec "$@";; esac
"""
PYTHON311 = """#!/bin/bash
mkdir -p .venv/bin && cat > .venv/bin/python <<'END'
#!/bin/bash
[ "$2" = pip ] && exit
echo "$NAME" "$@"; status=$(head -n 1 ~/status); sed -i '1{$!d}' ~/status; exit $status
END
chmod +x .venv/bin/python
"""
# pkill and pgrep that see only processes in the host's home, none of this machine's others.
SEARCH = """#!/bin/bash
found=1
for of in $(cd /proc; echo [0-9]*); do
    [[ $(readlink /proc/$of/cwd) == "$HOME"* && $of != $$ ]] || continue
    tr "\\0" " " 2>/dev/null < /proc/$of/cmdline | grep -q -e "${{@: -1}}" || continue
    {does}; found=0
done
exit $found
"""


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """Starts paper.py with arguments on a cloud that answers with `states` in turn."""
    for name, text in (
        ("gcloud", GCLOUD.format(python=sys.executable, folder=str(tmp_path))),
        ("sudo", SUDO),
        ("python3.11", PYTHON311),
        ("mountpoint", "#!/bin/true\n"),
        ("pkill", SEARCH.format(does="kill $of")),
        ("pgrep", SEARCH.format(does="true")),
    ):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    (tmp_path / "home").mkdir()
    share = tmp_path / "share"

    def start(*args, states, failures=(), status="0", only=("sft-0",), seconds=60, timeout=30):
        """`status`: the program's, a line for each start, the last one for all further ones."""
        (tmp_path / "states.json").write_text(json.dumps(states))
        (tmp_path / "failures.json").write_text(json.dumps(failures))
        (tmp_path / "home" / "status").write_text(status)
        code = (
            f"import pathlib, pods; pods.MOUNT = {str(share)!r}; pods.TIMEOUT = {timeout}; "
            "pods.SETUP_TIMEOUT = 30; import jobs, paper; "
            f"jobs.ENDED_ON_PODS = pathlib.Path({str(tmp_path / 'ended')!r}); "
            "jobs.run(paper.comparison(), '')"
        )
        where = [f"{share}/paper", "--on=pods"]
        command = [sys.executable, "-c", code, *where, "--only", *only, *args]
        paths = os.environ | {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT / 'launch'}:{ROOT}",
        }
        done = subprocess.run(
            command, cwd=ROOT, env=paths, capture_output=True, text=True, timeout=seconds
        )
        calls = (
            [json.loads(line) for line in (tmp_path / "calls.jsonl").open()]
            if (tmp_path / "calls.jsonl").exists()
            else []
        )
        return done, calls, share / "paper"

    return start


SLICE = ("--accelerator=v5litepod-16", "--zone=here", "--share=s:/x", "--poll=0.1")


def test_a_slice_is_created_set_up_used_and_deleted(cloud):
    states = ["", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    done, calls, folder = cloud(*SLICE, "--spot", "--environment", "NAME=x y", states=states)
    assert done.returncode == 0, done.stderr
    assert "fdjax-sft-0: done" in done.stdout
    created, *others = [c for c in calls if c[:2] == ["queued-resources", "create"]]
    assert not others and "--spot" in created and "--node-id=fdjax-sft-0" in created
    assert created[-1] == "--zone=here"
    deleted = [c for c in calls if c[:2] == ["queued-resources", "delete"]]
    assert len(deleted) == 1 and deleted[0] == calls[-1]
    (log,) = (folder / "sft-0" / "hosts").iterdir()
    assert log.read_text().strip() == (
        f"x y -m fdjax.main --coordinator=auto --config=configs/sft.py --workdir={folder}/sft-0 "
        "--config.seed=0"
    )


def test_after_a_preemption_another_slice_is_requested(cloud):
    states = ["", "ACTIVE", "unreachable", "SUSPENDED", "SUSPENDED", "PROVISIONING", "ACTIVE"]
    done, calls, _ = cloud(*SLICE, states=states)
    assert done.returncode == 0, done.stderr
    assert "the slice is SUSPENDED; requesting another slice" in done.stdout
    of_the_resource = [c[1] for c in calls if c[0] == "queued-resources" and c[1] != "list"]
    assert of_the_resource == ["create", "delete", "create", "delete"]


def test_a_broken_connection_does_not_end_the_launcher(cloud):
    failures = ["queued-resources create", "cat fdjax/exit_status", "queued-resources delete"]
    done, calls, _ = cloud(*SLICE, states=["", "", "ACTIVE"], failures=failures)
    assert done.returncode == 0, done.stderr
    of_the_resource = [c[1] for c in calls if c[0] == "queued-resources" and c[1] != "list"]
    assert of_the_resource == ["create", "create", "delete"]  # the slice was gone, then
    assert len([c for c in calls if "setsid" in " ".join(c)]) == 1


def test_set_up_and_start_are_repeated_together_after_a_broken_connection(cloud):
    done, calls, _ = cloud(*SLICE, states=["", "ACTIVE"], failures=["apt-get", "setsid"])
    assert done.returncode == 0, done.stderr
    commands = [" ".join(c) for c in calls if c[1] in ("ssh", "create")]
    begun = [next((w for w in ("create", "apt-get", "setsid") if w in c), "") for c in commands]
    assert [*filter(None, begun)] == ["create", "apt-get"] + ["apt-get", "setsid"] * 2


def test_a_connection_that_hangs_is_ended_and_the_state_asked(cloud, tmp_path):
    states = [*["ACTIVE"] * 3, "SUSPENDED", "SUSPENDED", "ACTIVE"]
    failures = ["hangs: cat fdjax/exit_status"]
    done, calls, _ = cloud(*SLICE, states=states, failures=failures, timeout=5)
    assert done.returncode == 0, done.stderr
    assert "timed out after 5 s); requesting another slice" in done.stdout
    assert len([c for c in calls if c[1] == "create"]) == 1
    ssh = Path("/proc") / (tmp_path / "ssh").read_text() / "cmdline"
    assert not ssh.exists() or not ssh.read_text()


def test_a_request_that_somebody_deletes_is_made_again(cloud):
    states = ["", "", "", "PROVISIONING", *[""] * 9, "ACTIVE"]
    done, calls, _ = cloud(*SLICE, states=states)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the slice is gone; requesting another slice") == 1
    assert len([c for c in calls if c[1] == "create"]) == 2


def test_a_failure_right_before_a_preemption_is_none_of_the_program(cloud):
    states = [*["ACTIVE"] * 6, "SUSPENDING", "SUSPENDING", "ACTIVE"]
    done, calls, _ = cloud(*SLICE, states=states, status="1\n0")
    assert done.returncode == 0, done.stderr
    assert "the slice is SUSPENDING; requesting another slice" in done.stdout
    assert len([c for c in calls if "setsid" in " ".join(c)]) == 2


def test_a_failure_is_reported_and_its_slice_kept(cloud):
    done, calls, _ = cloud(*SLICE, states=["ACTIVE"], status="3")
    assert done.returncode != 0 and "exit status 3" in done.stderr
    assert not [c for c in calls if c[1] in ("create", "delete")]


def test_jobs_on_pods_wait_for_their_start_and_are_not_begun_again(cloud):
    both = {"states": ["ACTIVE"], "only": ["sft-0", "fd-0"]}
    done, calls, _ = cloud(*SLICE, **both)
    assert done.returncode == 0, done.stderr
    assert [c[2] for c in calls if c[1] == "delete"] == ["fdjax-sft-0", "fdjax-fd-0"]
    again, all_calls, _ = cloud(*SLICE, **both)
    assert again.returncode == 0 and "2 of 2 jobs have ended, by " in again.stdout
    assert all_calls == calls
    other, all_calls, _ = cloud(*SLICE, "--share=s:/y", states=["ACTIVE"])
    assert other.returncode == 0 and len(all_calls) > len(calls)


def test_an_error_that_is_not_temporary_is_reported_whole_and_at_once(cloud):
    done, calls, _ = cloud(*SLICE, states=["refused"])
    assert done.returncode == 1 and len(calls) == 1
    refused = "PERMISSION_DENIED\n- reason: no such project\nfailed: sft-0\n"
    assert done.stderr.endswith(f"list ... failed: ERROR: (gcloud) {refused}")
    assert "Traceback" not in done.stderr


def test_a_program_that_was_left_behind_is_ended_first(cloud, tmp_path):
    home = tmp_path / "home" / "fdjax"
    home.mkdir()
    (home / "job.sh").write_text(
        "(exec -a '.venv/bin/python -m fdjax.main' sleep 60); echo $? > exit_status"
    )
    left = subprocess.Popen(["bash", "job.sh"], cwd=home)
    try:
        done, _, _ = cloud(*SLICE, states=["ACTIVE"])
        assert done.returncode == 0, done.stderr
        assert left.wait(0) == 0  # and its status is not taken for the new one's
    finally:
        left.kill()


def test_flags_survive_the_way_to_the_hosts(cloud):
    done, _, folder = cloud(*SLICE, states=["ACTIVE"], only=["fd_shuffled-0"])
    assert done.returncode == 0, done.stderr
    (log,) = (folder / "fd_shuffled-0" / "hosts").iterdir()
    assert "--config.feedback.shuffle=True --config.seed=0" in log.read_text()
    assert f"--config.init_from={folder}/sft-0/sft" in log.read_text()


@pytest.mark.parametrize(
    "args, message",
    [
        ((), "--on=pods takes --accelerator, --zone, --share"),
        ((*SLICE, "--only", "fd"), "no job is named fd; there are sft-0, fd-0"),
    ],
)
def test_what_is_missing_is_named(cloud, args, message):
    done, calls, _ = cloud(*args, states=[""])
    assert done.returncode == 2 and message in done.stderr and not calls


@pytest.fixture
def jobs(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "launch"))
    return importlib.import_module("jobs")


def test_jobs_wait_for_the_job_that_they_start_from(jobs, tmp_path):
    """And for no other: c begins while b runs, though b is before it."""
    a, b = jobs.Job("a", "x"), jobs.Job("b", "x")
    c = jobs.Job("c", "x", init_from="a/sft")
    begun = {job.name: threading.Event() for job in (a, b, c)}

    def start(job):
        begun[job.name].set()
        assert job.name != "b" or begun["c"].wait(20)
        assert job.name != "c" or jobs.has_ended(a, "f", tmp_path)

    jobs.run_jobs([c, a, b], "f", 2, start, tmp_path)
    jobs.check_order([c, b])  # a was run before
    with pytest.raises(ValueError, match="a, c wait for each other"):
        jobs.check_order([c, b, jobs.Job("a", "x", init_from="c/fd")])


def test_a_failure_is_printed_at_once(jobs, tmp_path, capsys):
    printed = ""

    def start(job):
        nonlocal printed
        if job.name == "bad":
            raise RuntimeError("no more")
        for _ in range(200):
            if printed := printed + capsys.readouterr().err:
                return
            time.sleep(0.1)

    good = jobs.Job("good", "x")
    with pytest.raises(SystemExit, match="failed: bad"):
        jobs.run_jobs([jobs.Job("bad", "x"), good], "f", 2, start, tmp_path)
    assert printed == "error: bad: no more\n" and jobs.has_ended(good, "f", tmp_path)


# In place of Python: prints its workdir's name and a summary, once all of `beside` have begun.
PROGRAM = """#!/bin/bash
for argument; do case $argument in --workdir=*) name=${{argument##*/}};; esac; done
touch {folder}/$name; mkdir -p $(dirname {folder})/$name
for i in $(seq 100); do
    [[ $(ls {folder} | wc -l) -ge {beside} ]] && break
    sleep 0.1
done
echo "step of $name beside $(ls {folder} | wc -l)"; echo; echo '{{"stages": 1}}'
[[ $name != bad ]]
"""


def test_local_jobs_run_side_by_side(jobs, tmp_path, monkeypatch, capsys):
    program, begun = tmp_path / "python", tmp_path / "begun"
    begun.mkdir()
    program.write_text(PROGRAM.format(folder=begun, beside=2))
    program.chmod(0o755)
    monkeypatch.setattr(jobs.sys, "executable", str(program))
    a, b = jobs.Job("a", "x"), jobs.Job("b", "x")
    monkeypatch.chdir(tmp_path)  # the jobs' own folder is another
    jobs.run_locally([a, b], ".", at_once=2)
    printed = capsys.readouterr().out.splitlines()
    steps = [line for line in printed if "step of" in line]
    assert sorted(steps) == ["a: step of a beside 2", "b: step of b beside 2"]
    done = [line for line in printed if ": done after 0." in line]
    assert [line.partition("minutes; ")[2] for line in done] == [
        "1 jobs left, about 0 minutes",
        "0 jobs left, about 0 minutes",
    ]
    # What has ended is not begun again, unless its arguments are others.
    jobs.run_locally([a, jobs.Job("b", "y")], str(tmp_path))
    printed = capsys.readouterr().out
    assert "a: step" not in printed and "b: step of b" in printed
    # What waits for a job that fails does not begin.
    bad, later = jobs.Job("bad", "x"), jobs.Job("c", "x", init_from="bad/sft")
    with pytest.raises(SystemExit, match="failed: bad"):
        jobs.run_locally([bad, a, later], str(tmp_path), at_once=2)
    assert "error: bad: exit code 1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="bad wait for each other"):
        jobs.run_locally([jobs.Job("bad", "x", init_from="bad/sft")], str(tmp_path))
    assert not (begun / "c").exists()


def test_expected_time_of_the_jobs_left(jobs):
    left = [jobs.Job("a", "x"), jobs.Job("b", "y"), jobs.Job("c", "y")]
    assert jobs.expected(left, {"x": [10.0, 20.0], "z": [60.0]}) == 15 + 30 + 30
    assert jobs.expected([], {}) == 0


def test_the_first_run_compares_equal_budgets(jobs):
    first_run = importlib.import_module("first_run")
    attempts = {}
    for job in first_run.RUNS:
        config = read(load(job.config, [*job.flags.items()]))
        stages = [config.blocks[name] for name in config.stages[1:]]
        attempts[job.name] = sum(
            s.steps * s.prompts_per_step * s.samples_per_prompt for s in stages
        )
        assert config.data.dialect and job.init_from == "sft/sft"
    assert len(set(attempts.values())) == 1 and set(attempts) == {"fd_grpo", "grpo", "fd"}


def test_ablations_that_have_ended_are_checked_for_other_arguments(jobs, tmp_path, monkeypatch):
    ablations = importlib.import_module("ablations")
    ended = tmp_path / "default seed=0"
    ended.mkdir()
    (ended / "summary.json").touch()
    steps = {}

    def run_experiment(config, workdir):  # its manifests tell whether it is the same run
        steps[workdir] = config.fd.steps

    monkeypatch.setattr(ablations, "run_experiment", run_experiment)
    monkeypatch.setattr("sys.argv", ["x", str(tmp_path), "--init_from=x/sft", "--steps=7"])
    ablations.main()
    assert steps[ended] == 7


def test_quotes_in_flags(jobs):
    job = jobs.Job("a", "c.py", {"stages": "('sft', 'fd')"})
    assert job.arguments("runs")[-1] == "--config.stages=('sft', 'fd')"
