"""Whatever a service does, a request ends with an answer or a problem; the key stays secret."""

import asyncio
import itertools
import json
import time

import openai_server
import pytest
from openai_server import KEY, Reply, says, serving

from fdjax.config import ConfigError, LLMConfig, default, read
from fdjax.feedback import client as client_module
from fdjax.feedback import service
from fdjax.feedback.client import LLMClient, Question, _Pace

QUESTION = Question("Be brief.", "What is wrong?")
FAR_OFF = "Fri, 01 Jan 2100 00:00:00 GMT"


def config_of(url, **changes):
    fields = dict(base_url=url, model="small", retries=2, timeout=5.0)
    return LLMConfig(**fields | changes)


def gaps(served):
    """Seconds between one request and the next."""
    return [later - earlier for earlier, later in itertools.pairwise(served.times)]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    openai_server.use(monkeypatch)
    monkeypatch.setattr(client_module, "BACKOFF", 0.01)


@pytest.fixture
def ask(tmp_path):
    """Asks by a new client with the same folder: what a resumed run does."""

    def ask(url, *questions, **changes):
        client = LLMClient(config_of(url, **changes), tmp_path)
        return asyncio.run(client.ask(questions or [QUESTION]))

    return ask


def test_a_question_goes_out_as_it_is_and_comes_back(ask):
    with serving(lambda *_: says("the second line")) as served:
        [answer] = ask(served.url, price_in=1.0, price_out=20.0)
    assert answer.text == "the second line" and answer.problems == ()
    assert answer.tokens == 110 and answer.money == pytest.approx((100 + 10 * 20) / 1e6)
    [body] = served.requests
    assert body["model"] == "small" and body["max_tokens"] == 600
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is wrong?"},
    ]
    assert served.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert served.headers[0]["Accept-Encoding"] == "identity"


def test_an_answer_is_paid_for_once(ask):
    other = QUESTION._replace(draw=1)
    with serving(lambda number, _: says(f"answer {number}")) as served:
        first = ask(served.url, QUESTION, QUESTION, concurrency=1)
        assert [a.text for a in first] == ["answer 0"] * 2
        assert [a.tokens for a in first] == [110, 0]  # paid for once
        again = ask(served.url, QUESTION, other)
        assert [a.text for a in again] == ["answer 0", "answer 1"]
        assert [a.tokens for a in again] == [0, 110]
        ask(served.url, model="large")
        ask(served.url, options={"max_tokens": 7})
        ask(served.url, QUESTION._replace(system="Be long."))
        assert len(served.requests) == 5
    assert ask("http://127.0.0.1:9/v1")[0].text == "answer 0"  # even when it is gone


def test_a_torn_line_costs_that_answer_only(ask, tmp_path):
    with serving(lambda number, _: says(f"answer {number}")) as served:
        ask(served.url, QUESTION, QUESTION._replace(draw=1), concurrency=1)
        file = tmp_path / "llm_answers.jsonl"
        file.write_bytes(file.read_bytes()[:-5])
        again = ask(served.url, QUESTION, QUESTION._replace(draw=1))
        assert [a.text for a in again] == ["answer 0", "answer 2"]
        ask(served.url, QUESTION, QUESTION._replace(draw=1))
    assert len(served.requests) == 3


@pytest.mark.parametrize(
    "bad",
    [
        b'{"key": "k", "text": "t", "tok',
        b'{"key": "k", "text": "t", "tokens": null, "money": 0.0}',
        b'{"key": "k", "text": "t", "tokens": 1000, "money": null}',
        b'{"key": "k", "text": "t", "tokens": 1000}',
        b"[]",
        b"",
    ],
)
def test_a_bad_line_between_others_is_skipped(ask, tmp_path, bad):
    questions = [QUESTION._replace(draw=draw) for draw in range(3)]
    with serving(lambda number, _: says(f"answer {number}")) as served:
        ask(served.url, *questions[:2], concurrency=1)
        file = tmp_path / "llm_answers.jsonl"
        first, second = file.read_bytes().splitlines()
        file.write_bytes(b"\n".join([first, bad, second, b""]))
        answers = ask(served.url, *questions, token_budget=1000)
    assert [a.text for a in answers] == ["answer 0", "answer 1", "answer 2"]
    assert len(served.requests) == 3


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (Reply(b'{"error": "try later"}', status=500), "server error"),
        (Reply(b"<html>bad gateway", status=502), "server error"),
        (Reply(b"{}" * 5_000_000, status=503), "server error"),
        (Reply(b"", status=425), "server error"),
        (Reply(b"", status=429), "rate limit"),
        (Reply(b"", status=429, headers={"Retry-After": "soon"}), "rate limit"),
        (Reply(b"this is no JSON"), "bad answer"),
        (Reply(b"\xff\xfe"), "bad answer"),
        (Reply(b"[" * 100_000), "bad answer"),
        (Reply(b'{"choices": []}'), "bad answer"),
        (Reply(b'{"choices": [{"message": {"content": {"a": 1}}}]}'), "bad answer"),
        (says(None), "empty answer"),
        (says("<think>hm"), "empty answer"),
        (says("a long answer", sent=20), "cut off"),
        (says("late", after=0.5), "timeout"),
    ],
)
def test_what_a_retry_solves(ask, bad, problem):
    with serving(lambda number, _: says("good") if number else bad) as served:
        [answer] = ask(served.url, timeout=0.3 if bad.after else 5.0)
    assert answer.text == "good" and answer.problems == (problem,)
    assert len(served.requests) == 2


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (says("x" * 10_000_000), "too long"),
        (Reply(b"{}" * 5_000_000, status=400), "refused 400"),
        (Reply(f'{{"error": "no such key: {KEY}"}}'.encode(), status=401), "refused 401"),
        (Reply(b"", status=307, headers={"Location": "http://127.0.0.1:9/v1"}), "refused 307"),
        (Reply(b"", status=429, headers={"Retry-After": "30"}), "rate limit"),
        (Reply(b"", status=503, headers={"Retry-After": FAR_OFF}), "server error"),
    ],
)
def test_what_is_not_retried(ask, bad, problem):
    with serving(lambda *_: bad) as served:
        [answer] = ask(served.url, timeout=1.0)
    assert answer.text is None and answer.problems == (problem,)
    assert len(served.requests) == 1


def test_a_request_that_wrote_nothing_costs_nothing(ask):
    with serving(lambda *_: Reply(b"", status=429, headers={"Retry-After": "30"})) as served:
        [answer] = ask(served.url, timeout=1.0)
    assert answer.tokens == 0 and answer.seconds < 1.0 and len(served.requests) == 1


@pytest.mark.parametrize("other", [Reply(b"", status=500), Reply(b"nonsense")])
def test_retries_of_all_kinds_count_together(ask, other):
    def answer(number, body):
        return other if number % 2 else Reply(b"", status=500)

    with serving(answer) as served:
        [answer] = ask(served.url, retries=4, timeout=1.0)
    assert len(served.requests) == len(answer.problems) == 5


def test_retry_after_is_honoured(ask):
    """The timeout is for each request, without the pauses."""
    wait = Reply(b"", status=429, headers={"Retry-After": "0.6"})
    with serving(lambda number, _: says("good") if number > 1 else wait) as served:
        [answer] = ask(served.url, timeout=1.0)
    assert answer.text == "good" and answer.tokens == 110
    assert answer.problems == ("rate limit", "rate limit")
    assert min(gaps(served)) >= 0.6


def test_retry_after_is_for_all_requests(ask):
    wait = Reply(b"", status=429, headers={"Retry-After": "0.5"})
    questions = [QUESTION._replace(draw=draw) for draw in range(4)]
    with serving(lambda number, _: says("good", after=0.2) if number else wait) as served:
        answers = ask(served.url, *questions, concurrency=2)
    assert [a.text for a in answers] == ["good"] * 4 and len(served.times) == 5
    assert served.times[2] - served.times[0] >= 0.5


def test_pauses_between_retries_grow(ask, monkeypatch):
    monkeypatch.setattr(client_module, "BACKOFF", 0.1)
    with serving(lambda *_: Reply(b"nonsense")) as served:
        ask(served.url, retries=3)
    assert all(gap >= least for gap, least in zip(gaps(served), (0.05, 0.1, 0.2), strict=True))


def test_retries_keep_to_the_pace(ask):
    with serving(lambda *_: Reply(b"", status=500)) as served:
        ask(served.url, retries=1, requests_per_minute=60)
    assert gaps(served)[0] >= 0.7  # and not 1: the first request may arrive late


def test_no_retries_of_a_service_that_is_down(ask):
    def answer(number, body):
        if "wait" in body["messages"][1]["content"]:
            return Reply(b"", status=429, headers={"Retry-After": "0.4"})
        return Reply(b"", status=401, after=0.1)

    with serving(answer) as served:
        refused, other = ask(served.url, QUESTION, QUESTION._replace(user="wait"))
    assert refused.problems == ("refused 401",) and other.problems == ("rate limit", "down")
    assert len(served.requests) == 2


def test_a_service_that_is_down_gets_one_request_each_time(tmp_path, capsys):
    """And the run hears of it once, and once when it is back."""
    questions = [QUESTION._replace(draw=draw) for draw in range(20)]
    works = False

    def answer(number, body):
        return says("good") if works else Reply(b"", status=503)

    with serving(answer) as served:
        client = LLMClient(config_of(served.url, concurrency=2), tmp_path)
        first = asyncio.run(client.ask(questions))
        assert all(a.text is None for a in first) and len(served.requests) <= 6
        assert {t for a in first for t in a.problems} == {"server error", "down"}
        before = len(served.requests)
        asyncio.run(client.ask(questions))
        assert len(served.requests) == before + 1
        works = True
        assert all(a.text == "good" for a in asyncio.run(client.ask(questions)))
    printed = [line for line in capsys.readouterr().out.splitlines() if "feedback.llm" in line]
    assert len(printed) == 2 and "no answers (server error)" in printed[0] and "again" in printed[1]


def test_no_service_at_the_address(ask):
    [answer] = ask("http://127.0.0.1:9/v1")
    assert answer.text is None and answer.problems == ("no connection",) * 3


def test_a_service_that_answers_nonsense_counts_as_down(ask):
    questions = [QUESTION._replace(draw=draw) for draw in range(20)]
    with serving(lambda *_: Reply(b"nonsense")) as served:
        answers = ask(served.url, *questions, concurrency=2)
    assert {a.text for a in answers} == {None} and len(served.requests) <= 6


def test_one_poisonous_question_does_not_stop_the_others(ask, monkeypatch):
    monkeypatch.setattr(client_module, "BACKOFF", 0.2)  # others succeed between its tries

    def answer(number, body):
        poisoned = "poison" in body["messages"][1]["content"]
        return Reply(b"", status=500) if poisoned else says("good")

    questions = [QUESTION._replace(user="poison")]
    questions += [QUESTION._replace(draw=draw) for draw in range(10)]
    with serving(answer) as served:
        answers = ask(served.url, *questions, concurrency=2)
    assert [a.text for a in answers] == [None] + ["good"] * 10


def test_the_budget_in_tokens_holds_across_resumes(ask, capsys):
    questions = [QUESTION._replace(draw=draw) for draw in range(8)]
    limits = dict(concurrency=3, token_budget=80, options={"max_tokens": 10})
    with serving(lambda *_: says("good", read=8, written=10)) as served:
        answers = ask(served.url, *questions, **limits)
        assert [a.text for a in answers].count("good") == len(served.requests) == 4
        assert {a.problems for a in answers} == {(), ("budget",)}
        printed = capsys.readouterr().out
        assert printed.count("feedback.llm: the budget is used up (") == 1
        again = ask(served.url, *questions, **limits)
        assert len(served.requests) == 4 and [a.text for a in again].count("good") == 4
        ask(served.url, *questions, **limits | {"token_budget": 1000})
    assert len(served.requests) == 8


def test_requests_under_way_are_waited_for_where_money_is_short(ask):
    """Each may cost 600 tokens and costs 18: the budget holds one of the first kind, not two."""
    questions = [QUESTION._replace(draw=draw) for draw in range(6)]
    with serving(lambda *_: says("good", read=8, written=10, after=0.02)) as served:
        answers = ask(served.url, *questions, concurrency=6, token_budget=700)
        assert [a.text for a in answers].count("good") == len(served.requests) == 6
        again = ask(served.url, *(q._replace(user="?") for q in questions), token_budget=700)
    assert {a.problems for a in again} == {("budget",)}  # 108 are spent, 604 may not be enough


def test_the_budget_in_money_counts_what_came_to_nothing(ask):
    """Bad answers are paid for, too: by the estimate, where the service does not count."""
    limits = dict(
        money_budget=0.01,
        price_in=10.0,
        price_out=10.0,
        retries=30,
        options={"max_tokens": 100},
    )
    with serving(lambda *_: Reply(b"nonsense")) as served:
        [answer] = ask(served.url, **limits)
    estimate = (8 + 100) * 10 / 1e6  # (9 + 14 characters) / 3 rounded up, and 100
    assert len(served.requests) == int(0.01 / estimate)
    assert answer.money == pytest.approx(len(served.requests) * estimate)
    assert answer.problems[-1] == "budget"


def test_requests_are_spread_over_time():
    async def turns(pace, count, tokens):
        began = time.monotonic()
        await asyncio.gather(*(pace.wait(tokens) for _ in range(count)))
        return time.monotonic() - began

    assert asyncio.run(turns(_Pace(600, None), 4, 1)) >= 0.3
    assert asyncio.run(turns(_Pace(None, 60_000), 4, 100)) >= 0.3
    assert asyncio.run(turns(_Pace(None, None), 4, 100)) < 0.1


def test_concurrency_is_bounded(ask):
    import threading

    running, most, lock = 0, 0, threading.Lock()

    def answer(number, body):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1
        return says("good")

    with serving(answer) as served:
        ask(served.url, *(QUESTION._replace(draw=draw) for draw in range(9)), concurrency=3)
    assert most == 3


def test_the_key_is_nowhere_even_if_the_service_repeats_it(ask, tmp_path, capfd):
    with serving(lambda number, _: says(f"your key is {KEY}, ha")) as served:
        [answer] = ask(served.url)
    assert answer.text == "your key is (key), ha"
    assert KEY not in "".join(f.read_text() for f in tmp_path.iterdir())
    assert KEY not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model", None, "model is not set"),
        ("base_url", "localhost:8000", "base_url must begin with http"),
        ("base_url", f"http://me:{KEY}@host/v1", "base_url holds a password"),
        ("base_url", f"http://host/v1?key={KEY}", "base_url holds a password or a query"),
        ("key_variable", KEY, "key_variable must be the name of an environment variable"),
        ("options", {"n": 3}, "options cannot set n"),
        ("concurrency", 0, "concurrency is 0, must be at least 1"),
        ("retries", -1, "retries is -1, must be at least 0"),
        ("timeout", 0.0, "timeout is 0.0, must be above 0"),
        ("money_budget", 1.0, "money_budget needs price_in and price_out"),
    ],
)
def test_settings_that_are_refused(field, value, message):
    config = default()
    config.feedback.provider, config.feedback.llm.model = "llm", "m"
    config.feedback.llm[field] = value
    with pytest.raises(ConfigError, match=message) as error:
        read(config)
    assert "feedback.llm" in str(error.value) and KEY not in str(error.value)


def test_the_key_is_missing(tmp_path):
    message = "feedback.llm.key_variable: the environment has no NO_SUCH_KEY"
    with pytest.raises(ConfigError, match=message):
        LLMClient(config_of(None, key_variable="NO_SUCH_KEY"), tmp_path)


def test_the_package_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "httpx", None)
    with pytest.raises(ConfigError, match=r"pip install -e '.\[llm\]'"):
        LLMClient(config_of(None), tmp_path)


def test_a_service_without_keys(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with serving(lambda *_: says("none is needed")) as served:
        client = LLMClient(config_of(served.url, key_variable=None), tmp_path)
        [answer] = asyncio.run(client.ask([QUESTION]))
    assert answer.text == "none is needed"
    assert json.loads((tmp_path / "llm_answers.jsonl").read_text())["text"] == answer.text
