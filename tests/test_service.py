"""A run begins only if the service answers, and says why it does not. The bodies are those that
hosted and local services send.
"""

import asyncio
import json
import socket

import openai_server
import pytest
from openai_server import KEY, Reply, refuses, says, serving

from fdjax.config import ConfigError, LLMConfig, default, read
from fdjax.feedback import client as client_module
from fdjax.feedback.client import LLMClient, Question
from fdjax.feedback.providers import check_service
from fdjax.feedback.service import RequestFailed, read_answer, request_options
from fdjax.training import setup
from tests import tiny_runs


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    openai_server.use(monkeypatch)
    monkeypatch.setattr(client_module, "BACKOFF", 0.01)


@pytest.fixture
def check(tmp_path):
    """The error of a start with this service; None if the run begins."""

    def check(url, **changes):
        config = default()
        config.feedback.provider = "llm"
        config.feedback.llm.update(base_url=url, model="m", timeout=5.0, retries=1)
        config.feedback.llm.update_from_flattened_dict(changes)
        try:
            check_service(read(config).feedback, tmp_path / "w")
        except ConfigError as error:
            assert KEY not in str(error)
            return str(error)
        finally:
            assert not (tmp_path / "w").exists()  # nothing is kept, nothing is counted
        return None

    return check


def error(message, kind="invalid_request_error", code=None, param=None):
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


MAX_TOKENS = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
MAX_TOKENS += "'max_completion_tokens' instead."
TEMPERATURE = "Unsupported value: 'temperature' does not support 0.2 with this model."
CONTEXT = "This model's maximum context length is 256 tokens. However, you requested 1019 tokens."


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            error(MAX_TOKENS, code="unsupported_parameter", param="max_tokens"),
            ["unsupported_parameter", "set feedback.llm.options.max_completion_tokens=600"],
        ),
        (
            400,
            error(TEMPERATURE, code="unsupported_value"),
            ["unsupported_value", "change feedback.llm.options.temperature; None leaves"],
        ),
        (
            404,
            error("The model `m` does not exist", code="model_not_found"),
            ["model_not_found", "feedback.llm.model='m'"],
        ),
        (404, error('model "m" not found, try pulling it first', "api_error"), ["llm.model='m'"]),
        (
            404,
            {"error": {"code": "DeploymentNotFound", "message": "The API deployment does not ..."}},
            ["DeploymentNotFound", "feedback.llm.model='m'"],
        ),
        (
            404,
            {"object": "error", "message": "The model `m` does not exist.", "code": 404},
            ["feedback.llm.model='m'"],
        ),
        (
            401,
            error(f"Incorrect API key provided: {KEY}.", code="invalid_api_key"),
            ["invalid_api_key", "(key)", "OPENAI_API_KEY (feedback.llm.key_variable)"],
        ),
        (
            429,
            error("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
            ["insufficient_quota", "no credit"],
        ),
        (402, {"error": {"message": "Insufficient Balance"}}, ["Insufficient Balance", "credit"]),
        (
            400,
            error(CONTEXT, code="context_length_exceeded"),
            ["context_length_exceeded", "256", "1019", "lower feedback.llm.options.max_tokens=600"],
        ),
        (
            400,
            {"object": "error", "message": CONTEXT, "type": "BadRequestError", "code": 400},
            ["BadRequestError", "256", "1019", "larger context"],
        ),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "the request exceeds the available context size",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 611,
                    "n_ctx": 256,
                }
            },
            ["exceed_context_size_error", "611", "256"],
        ),
        (
            422,
            {
                "error": "Input validation: `inputs` tokens + `max_new_tokens` must be <= 256",
                "error_type": "validation",
            },
            ["validation", "256", "larger context"],
        ),
        (
            422,
            {
                "detail": [
                    {"type": "extra_forbidden", "loc": ["body", "max_tokens"], "msg": "Extra"}
                ]
            },
            ["extra_forbidden", "body.max_tokens", "change feedback.llm.options.max_tokens"],
        ),
        (
            500,
            error("1 validation error: {'loc': ('body', 'temperature')}", "internal_server_error"),
            ["change feedback.llm.options.temperature"],
        ),
        (
            400,
            [{"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}],
            ["INVALID_ARGUMENT: no", "see feedback.llm.options"],
        ),
        (404, {"detail": "Not Found"}, ["404 Not Found", "does feedback.llm.base_url name"]),
        (404, "<html><title>nginx</title>", ["an HTML page: nginx", "feedback.llm.base_url"]),
        (501, "<html><title>Error response</title>", ["501", "feedback.llm.base_url"]),
        (200, "<html><title>Sign in</title>", ["Sign in", "feedback.llm.base_url"]),
        (200, '{"choices": [{"mess', ["bad answer", "feedback.llm.base_url"]),
        (200, {"choices": []}, ["bad answer"]),
        (200, {"error": {"code": 404, "message": "No model m: not a valid model"}}, ["model='m'"]),
    ],
)
def test_a_service_that_would_refuse_every_request_ends_the_run(check, status, body, words):
    with serving(lambda *_: refuses(status, body)) as served:
        message = check(served.url, **{"options.temperature": 0.2})
        assert message.startswith("feedback.llm: no answer (") and served.url in message
    assert [word for word in words if word not in message] == [], message


def test_a_redirect_is_named_by_its_host(check):
    login = Reply(b"", 302, {"Location": "https://login.example/?token=secret"})
    with serving(lambda *_: login) as served:
        message = check(served.url)
        assert "a redirect to login.example;" in message and "secret" not in message
        assert len(served.requests) == 1


def test_nothing_listens_there(check, monkeypatch):
    message = check("http://127.0.0.1:9/v1")
    assert "(no connection) from http://127.0.0.1:9/v1: Connection refused; does" in message
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    message = check("http://llm.example/v1")
    assert "through the proxy in http_proxy; no_proxy=llm.example goes around it" in message


def test_what_listens_there_says_nothing(check):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        assert f"(timeout) from {url}: no answer within 0.1 s" in check(url, timeout=0.1)


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        (refuses(429, error("slow down")), "(rate limit)"),
        (refuses(503, error("Loading model", "unavailable_error")), "unavailable_error"),
        (says("Take h.2 and", ended="length"), "raise feedback.llm.options.max_tokens=600"),
        (says("", ended="content_filter"), "content_filter"),
    ],
)
def test_what_may_pass_does_not_keep_a_run_from_beginning(check, capsys, reply, word):
    with serving(lambda *_: reply) as served:
        assert check(served.url) is None
    assert word in capsys.readouterr().out


def test_the_first_question_has_the_form_of_the_others(check):
    with serving(lambda *_: says("h.2")) as served:
        changes = {"options.max_completion_tokens": 600, "options.top_p": None}
        assert check(f"{served.url}/", **changes) is None
    [body] = served.requests
    assert body.keys() == {"model", "messages", "max_completion_tokens"}
    system, user = (message["content"] for message in body["messages"])
    assert "experienced user of Lean" in system and "theorem swap" in user and len(user) < 1000


def test_a_run_begins_with_one_question_and_a_finished_stage_asks_none(tmp_path, monkeypatch):
    config = tiny_runs.config_of_files(tmp_path, monkeypatch)
    config.stages = ("sft",)
    config.feedback.provider = "llm"
    with serving(lambda *_: says("h.2")) as served:
        config.feedback.llm.update(base_url=served.url, model="m", retries=0)
        with setup.set_up(config, tmp_path / "w"):
            assert len(served.requests) == 1
        (tmp_path / "w" / "sft" / "checkpoints" / str(config.sft.steps)).mkdir(parents=True)
        with setup.set_up(config, tmp_path / "w"):
            assert len(served.requests) == 1
    with (
        pytest.raises(ConfigError, match="Connection refused"),
        setup.set_up(config, tmp_path / "v"),
    ):
        pass
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"max_tokens": 600, "max_completion_tokens": 50}, {"max_completion_tokens": 50}),
        ({"max_tokens": 600, "max_completion_tokens": None}, {"max_tokens": 600}),
        ({"max_tokens": None, "top_k": 3}, {"top_k": 3}),
    ],
)
def test_the_options_of_a_request(options, sent):
    assert request_options(LLMConfig(model="m", options=options)) == sent


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://", "then a host"),
        ("http://[::1/v1", "is no address"),
        ("http://host:99999/v1", "is no address"),
        ("http://host/v1/chat/completions", "before /chat/completions"),
    ],
)
def test_addresses_that_are_none(check, url, message):
    assert message in check(url)


def test_a_key_that_no_header_can_hold(check, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"“{KEY}”")
    assert "holds characters that no key has" in check("http://127.0.0.1:9/v1")


# --- Answers -------------------------------------------------------------------------------------


def body_of(message, ended="stop", **more):
    choice = {"message": message, "finish_reason": ended} | more
    usage = {"prompt_tokens": 7, "completion_tokens": 9}
    return json.dumps({"choices": [choice], "usage": usage}).encode()


@pytest.mark.parametrize("ended", ["stop", None, "eos_token", "end_turn", "tool_calls"])
@pytest.mark.parametrize(
    "content",
    [
        "Take h.2.",
        [{"type": "text", "text": "Take h.2."}],
        [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "Take h.2."}],
        [{"type": "reasoning", "text": "hm"}, {"text": "hm", "thought": True}, "Take h.2."],
    ],
)
def test_whole_answers(content, ended):
    assert read_answer(body_of({"content": content}, ended), None) == ("Take h.2.", (7, 9))


@pytest.mark.parametrize(
    ("message", "ended", "problem", "final"),
    [
        ({"content": "Take h.2 and"}, "length", "max_tokens reached", True),
        ({"content": "<think>Take h.2"}, "length", "max_tokens reached", True),
        ({"content": None, "reasoning_content": "hm"}, "length", "max_tokens reached", True),
        ({"role": "assistant"}, "length", "max_tokens reached", True),
        ({"role": "assistant"}, "content_filter", "content filter", True),
        ({"content": "Take"}, "max_tokens", "max_tokens reached", True),
        ({"content": "Take"}, "MAX_TOKENS", "max_tokens reached", True),
        ({"content": "Take"}, "max_length", "max_tokens reached", True),
        ({"content": "Take"}, "FinishReason.MAX_TOKENS", "max_tokens reached", True),
        ({"content": "Take"}, "incomplete", "max_tokens reached", True),
        ({"content": "Take"}, "content_filtered", "content filter", True),
        ({"content": "Take"}, "cancelled", "bad answer", False),
        ({"content": "Take"}, "content_filter", "content filter", True),
        ({"content": None, "refusal": "I cannot"}, "stop", "content filter", True),
        ({"content": "Take"}, "error", "bad answer", False),
        ({"content": None, "reasoning": "hm"}, "stop", "empty answer", False),
        ({"content": "<think>hm"}, None, "empty answer", False),
        ({"content": None, "tool_calls": [{}]}, "tool_calls", "empty answer", False),
        ({"content": {"a": 1}}, "stop", "bad answer", False),
    ],
)
def test_answers_of_no_use(message, ended, problem, final):
    with pytest.raises(RequestFailed) as failed:
        read_answer(body_of(message, ended), None)
    failure = failed.value
    assert (failure.problem, not failure.retry, failure.charged) == (problem, final, True)
    assert failure.usage == (7, 9) or message == {"content": {"a": 1}}


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ({"code": 429, "message": "busy"}, "rate limit"),
        ({"code": 502, "message": "provider"}, "server error"),
        ({"code": 400, "message": "no"}, "refused 400"),
        ("no", "bad answer"),
    ],
)
def test_an_error_that_is_sent_as_a_success(error, problem):
    for body in (json.dumps({"error": error}).encode(), body_of({"content": ""}, error=error)):
        with pytest.raises(RequestFailed) as failed:
            read_answer(body, None)
        assert failed.value.problem == problem


# --- Later ---------------------------------------------------------------------------------------


@pytest.fixture
def ask(tmp_path):
    def ask(url, count=1, folder=tmp_path, **changes):
        fields = dict(base_url=url, model="m", retries=1, timeout=5.0, concurrency=1)
        client = LLMClient(LLMConfig(**fields | changes), folder)
        return asyncio.run(client.ask([Question("s", "u", draw) for draw in range(count)]))

    return ask


def printed(capsys):
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if line.startswith("feedback.llm")]


def test_refusals_in_a_row_are_told_once_with_the_reason(ask, capsys):
    refusal = refuses(400, error(MAX_TOKENS, code="unsupported_parameter"))
    with serving(lambda number, _: says("good") if number > 45 else refusal) as served:
        answers = ask(served.url, 48)
    assert [a.text for a in answers].count("good") == 2
    assert {a.problems for a in answers} == {("refused 400",), ()}
    first, outage, again = printed(capsys)
    assert "no answer to a question (refused 400)" in first and "unsupported_parameter" in first
    assert "no answers (refused 400)" in outage and "8 questions in a row have no" in outage
    assert "options.max_completion_tokens=600" in outage
    assert "answers again, after 46 questions" in again


def test_an_answer_that_is_cut_off_is_paid_for_once_and_asked_once(ask, tmp_path, capsys):
    with serving(lambda *_: says("Take h.2 and", 8, 10, ended="length")) as served:
        [answer] = ask(served.url)
        assert (answer.text, answer.tokens) == (None, 18)
        assert answer.problems == ("max_tokens reached",)
        [again] = ask(served.url)
        assert (again.text, again.tokens, again.problems) == (None, 0, answer.problems)
        assert len(served.requests) == 1
        ask(served.url, options={"max_tokens": 700})
        assert len(served.requests) == 2
    assert "raise feedback.llm.options.max_tokens=600" in printed(capsys)[0]


def test_two_runs_share_a_file(tmp_path):
    config = dict(model="m", retries=0, timeout=5.0, cache=str(tmp_path / "answers"))
    with serving(lambda number, _: says(f"{number}", 8, 10)) as served:
        config["base_url"] = served.url
        one, other = (LLMClient(LLMConfig(**config, token_budget=1000), tmp_path) for _ in "ab")
        first, second = (Question("s", "u", draw) for draw in range(2))
        asyncio.run(one.ask([first]))
        [answer] = asyncio.run(other.ask([first]))
        assert (answer.text, answer.tokens) == ("0", 0)
        asyncio.run(other.ask([second]))
        assert asyncio.run(one.ask([second]))[0].text == "1"
        assert one._tokens == other._tokens == 36 and len(served.requests) == 2
