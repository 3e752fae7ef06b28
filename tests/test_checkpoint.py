"""What was saved comes back bit for bit, on another mesh, whatever happened meanwhile."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding

from fdjax.runtime import checksums, hosts
from fdjax.runtime.checkpoint import Checkpoints, restore_params
from fdjax.runtime.files import CorruptFile


class State(NamedTuple):
    params: Any
    teacher_params: Any
    opt_state: Any
    key: jax.Array
    step: jax.Array


OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.constant_schedule(1e-3)))
SPECS = {"w": jax.P("fsdp", "tensor"), "half": jax.P("tensor"), "scale": jax.P()}


def mesh_of(*shape):
    devices = jax.devices()[: int(np.prod(shape))]
    return jax.make_mesh(shape, ("fsdp", "tensor"), (AxisType.Auto,) * 2, devices=devices)


@functools.cache
def make_state(seed, shape, teacher=True):
    rng = np.random.default_rng(seed)
    params = {
        "w": rng.normal(size=(16, 8)).astype(np.float32),
        "half": rng.normal(size=8).astype(jnp.bfloat16),
        "scale": np.float32(rng.normal()),
    }
    opt_state = jax.tree.map(lambda x: x + x.dtype.type(seed + 1), OPTIMIZER.init(params))
    average = jax.tree.map(np.cos, params) if teacher else None
    state = State(params, average, opt_state, jax.random.key(seed), np.int32(seed))

    def sharding(path, _):
        names = [str(getattr(k, "key", "")) for k in path]
        spec = next((SPECS[n] for n in names if n in SPECS), jax.P())
        return NamedSharding(mesh_of(*shape), spec)

    return jax.device_put(state, jax.tree_util.tree_map_with_path(sharding, state))


def steps_in(folder):
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def bits(tree):
    def one(x):
        x = jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        x = np.asarray(x)
        return x.dtype.name, x.shape, x.tobytes()

    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), *one(x)) for path, x in leaves]


@pytest.mark.parametrize("teacher", [True, False])
def test_bit_equal_on_every_mesh(tmp_path, teacher):
    state = make_state(1, (2, 4), teacher)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, state, {"solved": {"t1": 3}})
    for shape in ((2, 4), (4, 2), (1, 1)):
        target = make_state(2, shape, teacher)
        with Checkpoints(tmp_path) as checkpoints:
            found = checkpoints.restore(target)
        assert bits(found.state) == bits(state) != bits(target)
        assert jax.tree.structure(found.state) == jax.tree.structure(state)
        assert found.state.params["w"].sharding == target.params["w"].sharding
        assert (found.meta, found.step) == ({"solved": {"t1": 3}}, 7)
        params = restore_params(tmp_path / "7" / "params", target.params)
        assert bits(params) == bits(state.params)


def test_what_changes_after_save_is_not_saved(tmp_path, monkeypatch):
    history = {"t1": [[0, 3]]}
    with Checkpoints(tmp_path) as checkpoints:
        later, save = [], checkpoints._manager.save
        monkeypatch.setattr(checkpoints._manager, "save", lambda *a, **k: later.append((a, k)))
        checkpoints.save(7, make_state(1, (1, 1)), {"curriculum": history})
        history["t1"].append([7, 1])  # while a slow disk makes the folder
        [(given, named)] = later
        save(*given, **named)
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.restore(make_state(2, (1, 1)))
    assert found.meta == {"curriculum": {"t1": [[0, 3]]}}


def test_nothing_to_restore(tmp_path):
    with Checkpoints(tmp_path / "new") as checkpoints:
        assert checkpoints.restore(make_state(0, (1, 1))) is None
    with pytest.raises(FileNotFoundError, match="new is no item of an Orbax checkpoint"):
        restore_params(tmp_path / "new", {})


def test_other_folders_are_no_checkpoints(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(7, make_state(1, (1, 1)))
    for name in ("0008", "²", "８", "lost+found", "9.damaged"):
        (tmp_path / name).mkdir()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest() == 7
        assert checkpoints.restore(make_state(2, (1, 1))).step == 7


def test_the_state_may_be_donated_at_once(tmp_path):
    """On a CPU Orbax may hold a view of the very buffers that the next update overwrites."""

    @jax.jit
    def fresh(seed):
        return State({"w": seed + jnp.arange(1.0 * (1 << 20))}, None, (), seed, seed)

    update = jax.jit(lambda s: jax.tree.map(lambda x: x * 0 - 1, s), donate_argnums=0)
    for step in range(3):
        state = fresh(jnp.int32(step))
        expected = bits(state)
        with Checkpoints(tmp_path / str(step)) as checkpoints:
            checkpoints.save(step, state)
            for _ in range(5):
                state = update(state)
            jax.block_until_ready(state)
            checkpoints.wait()
            assert bits(checkpoints.restore(state).state) == expected != bits(state)


def test_latest_and_best_are_kept(tmp_path, monkeypatch):
    state = make_state(0, (1, 1))
    scores = {1: 0.2, 2: 0.9, 3: 0.1, 4: 0.3, 5: 0.4}
    with Checkpoints(tmp_path, keep=2, best="solve_rate") as checkpoints:
        for step, score in scores.items():
            checkpoints.save(
                step, state._replace(step=jnp.int32(step)), metrics={"solve_rate": score}
            )
        checkpoints.wait()
        assert steps_in(tmp_path) == [2, 4, 5]  # the best and the latest two
        assert int(checkpoints.restore(state, step=2).state.step) == 2
    with Checkpoints(tmp_path, keep=2, best="solve_rate") as checkpoints:  # resumed
        assert checkpoints.restore(state).step == 5
        with monkeypatch.context() as patched:  # the first host sees 4 as the latest
            patched.setattr(
                hosts, "broadcast", lambda name, ask: [2, 4] if "check" in name else ask()
            )
            assert checkpoints.restore(state).step == 4
        checkpoints.save(6, state)  # without metrics
        checkpoints.wait()
        assert steps_in(tmp_path) == [2, 5, 6]
    with Checkpoints(tmp_path / "plain", keep=1) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, state)
        checkpoints.wait()
        assert steps_in(tmp_path / "plain") == [3]


# --- Damage ---------------------------------------------------------------------------------------


def data_file(checkpoint):
    """The file with most of the parameters' bytes."""
    return max((checkpoint / "params").rglob("d/*"), key=lambda file: file.stat().st_size)


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def emptied(checkpoint):
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()


def each(item, damage):
    """`damage` to every file of an item."""

    def of(checkpoint):
        for file in [f for f in (checkpoint / item).rglob("*") if f.is_file()]:
            damage(file)

    return of


DAMAGE = {
    "emptied": (emptied, "params/_METADATA is gone"),
    "no files": (each("", Path.unlink), "params/_METADATA is gone"),
    "files of length 0": (each("params", lambda f: f.write_bytes(b"")), "has 0 of"),
    "metadata gone": (lambda c: (c / "state/_METADATA").unlink(), "state/_METADATA is gone"),
    "manifest gone": (lambda c: (c / "params/manifest.ocdbt").unlink(), "manifest.ocdbt is gone"),
    "item gone": (lambda c: shutil.rmtree(c / "state"), " is gone"),
    "array cut": (lambda c: os.truncate(data_file(c), 300), "has 300 of"),
    "array zeroed": (
        lambda c: data_file(c).write_bytes(bytes(data_file(c).stat().st_size)),
        "does not hold what was written",
    ),
    "one bit": (lambda c: flip(data_file(c)), "does not hold what was written"),
    "history": (lambda c: (c / "meta/metadata").write_text("{}"), "meta/metadata has 2 of"),
    "score": (lambda c: (c / "metrics/metrics").write_text(""), "metrics/metrics has 0 of"),
    "checksums": (lambda c: (c / "checksums.json").write_text(""), "checksums.json is no JSON"),
    "list": (lambda c: (c / "checksums.json").write_text('{"a": 1}'), "is no list of checksums"),
    "a file": (lambda c: (shutil.rmtree(c), c.write_text("")), "cannot be read (Not a directory)"),
}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Checkpoints of the steps 2, 4 and 6, of states 2, 4 and 6."""
    folder = tmp_path_factory.mktemp("three")
    with Checkpoints(folder, keep=3, best="score") as checkpoints:
        for step in (2, 4, 6):
            checkpoints.save(step, small(step), {"seen": step}, {"score": 1.0 * step})
    return folder


def small(number):
    weights = jax.random.normal(jax.random.key(number), (64, 32))
    return Small({"w": weights, "zeros": jnp.zeros(1000)}, jnp.int32(number))


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(three, tmp_path, capsys, name):
    damage, text = DAMAGE[name]
    folder = shutil.copytree(three, tmp_path / "c")
    damage(folder / "6")
    with pytest.raises(CorruptFile, match=re.escape(text)), Checkpoints(folder) as checkpoints:
        checkpoints.restore(small(0), 6)
    assert steps_in(folder) == [2, 4, 6]
    with Checkpoints(folder, keep=3, best="score") as checkpoints:
        found = checkpoints.restore(small(0))
        assert (found.step, found.meta) == (4, {"seen": 4}) and bits(found.state) == bits(small(4))
        warning = capsys.readouterr().out
        assert "the checkpoint of step 6 is damaged" in warning and text in warning
        assert "Going on from step 4" in warning and str(folder / "6.damaged") in warning
        checkpoints.save(6, small(6), {"seen": 6}, {"score": 6.0})  # as the run comes there again
        checkpoints.wait()
        assert bits(checkpoints.restore(small(0)).state) == bits(small(6))
    assert capsys.readouterr().out == ""


def test_an_older_damaged_checkpoint_is_no_hindrance(three, tmp_path, capsys):
    """Orbax reads the metrics of all of them before it saves another one."""
    folder = shutil.copytree(three, tmp_path / "c")
    (folder / "2" / "metrics" / "metrics").write_text("")
    with Checkpoints(folder, keep=3, best="score") as checkpoints:
        assert checkpoints.restore(small(0)).step == 6
        assert "step 2 is damaged" in capsys.readouterr().out
        checkpoints.save(8, small(8), metrics={"score": 8.0})
        checkpoints.wait()
    assert steps_in(folder) == [4, 6, 8]


def test_without_a_whole_checkpoint_it_says_what_to_remove(three, tmp_path):
    folder = shutil.copytree(three, tmp_path / "c")
    for step in (2, 4, 6):
        flip(data_file(folder / str(step)))
    for _ in range(2):  # nothing was renamed: no second start begins anew without a word
        named = rf"(?s)/6/.*/4/.*/2/.*Remove {folder}"
        with pytest.raises(CorruptFile, match=named), Checkpoints(folder) as checkpoints:
            checkpoints.restore(small(0))


def test_all_hosts_take_the_same_checkpoint(three, tmp_path, monkeypatch):
    """One host sees the damage, as it looks at its share of the files; all hear of it."""
    folder = shutil.copytree(three, tmp_path / "c")
    heard = iter([[None, "6/params is damaged"], [None, None], [None, None]])
    monkeypatch.setattr(hosts, "allgather", lambda name, compute: [compute(), next(heard)[1]])
    with Checkpoints(folder, keep=3) as checkpoints:
        assert checkpoints.restore(small(0)).step == 4
    assert steps_in(folder) == [2, 4]


def test_checkpoints_of_earlier_versions_have_no_checksums(three, tmp_path, capsys):
    folder = shutil.copytree(three, tmp_path / "c")
    (folder / "6" / "checksums.json").unlink()
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.restore(small(0)).step == 6
    for file in (folder / "6" / "params").rglob("d/*"):
        file.write_bytes(b"")
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.restore(small(0)).step == 4
    assert "6 cannot be read" in capsys.readouterr().out


def test_an_item_whose_name_begins_another_is_not_taken_for_it(three, tmp_path):
    item = shutil.copytree(three / "6" / "params", tmp_path / "m")  # "meta" begins with m
    restore_params(item, small(0).params)
    assert checksums.damage(tmp_path, "m") is None


def test_damaged_parameters_are_not_restored(three, tmp_path):
    folder = shutil.copytree(three, tmp_path / "c")
    (folder / "6" / "state" / "_METADATA").unlink()  # not needed
    restore_params(folder / "6" / "params", small(0).params)
    flip(data_file(folder / "6"))
    with pytest.raises(CorruptFile, match=r"d/.* does not hold what .*another checkpoint"):
        restore_params(folder / "6" / "params", small(0).params)


def test_what_does_not_fit_is_named(tmp_path):
    state = make_state(0, (1, 1))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state)
        checkpoints.wait()
        wrong = state._replace(params=state.params | {"w": state.params["w"].astype(jnp.bfloat16)})
        with pytest.raises(ValueError, match=r"params\.w: float32\[16,8\] there, bfloat16"):
            checkpoints.restore(wrong)
        with pytest.raises(ValueError, match=r"state\.teacher_params\.w: .* nothing here"):
            checkpoints.restore(state._replace(teacher_params=None))
    with pytest.raises(ValueError, match=r"params\.w: float32\[16,8\] there, float32\[4,8\] here"):
        restore_params(tmp_path / "1" / "params", state.params | {"w": jnp.zeros((4, 8))})
    # bf16 is as exact in fp32; fp32 is not in bf16
    wide = restore_params(tmp_path / "1" / "params", state.params | {"half": jnp.zeros(8)})
    assert wide["half"].dtype == jnp.float32
    np.testing.assert_array_equal(wide["half"], state.params["half"].astype(jnp.float32))
    with pytest.raises(ValueError, match=r"params\.w: float32\[16,8\] there, bfloat16"):
        restore_params(tmp_path / "1" / "params", wrong.params)


def test_silent(tmp_path, capfd, recwarn):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, make_state(0, (2, 4)))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.restore(make_state(0, (4, 2)))
    restore_params(tmp_path / "1" / "params", make_state(0, (1, 1)).params)
    assert capfd.readouterr() == ("", "") and not recwarn.list


KILLED = """
import sys, time, jax, jax.numpy as jnp
from typing import Any, NamedTuple
from fdjax.runtime.checkpoint import Checkpoints

class State(NamedTuple):
    params: Any
    step: Any

checkpoints = Checkpoints(sys.argv[1], keep=2)
for step in range(1, 10_000):
    checkpoints.save(step, State({"w": jnp.full((2048, 1024), step, jnp.float32)}, jnp.int32(step)))
    print(step, flush=True)
"""


class Small(NamedTuple):
    params: Any
    step: Any


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.1])
def test_killed_in_mid_save(tmp_path, delay):
    """SIGKILL while a save is under way: the last whole checkpoint is found, and it is whole."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if int(line) == 4:  # the save of step 4 has begun, so that of step 3 is whole
            break
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Checkpoints(tmp_path) as checkpoints:
        found = checkpoints.restore(Small({"w": jnp.zeros((2048, 1024))}, jnp.int32(0)))
        assert found.step >= 3 and int(found.state.step) == found.step
        assert np.all(np.asarray(found.state.params["w"]) == found.step)
        checkpoints.save(found.step + 1, found.state)  # over what the dead process left behind
        checkpoints.wait()
        assert steps_in(tmp_path)[-1] == found.step + 1
    assert not [p for p in tmp_path.iterdir() if "tmp" in p.name]
