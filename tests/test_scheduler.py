"""Which sample is in which slot, and what follows from it: shapes, order, figures, compilations."""

import collections
import dataclasses
import io
import re

import jax
import numpy as np
import pytest
import rich.console
from engine_runs import TINY, drawing, key, random_prompts, samples, shapes
from rollouts import THEOREMS, small_generator, written_tokens
from tiny_model import random_params

from fdjax.config import ConfigError, EnvironmentConfig, GenerationConfig
from fdjax.models import decoding, transformer
from fdjax.models.config import ModelConfig
from fdjax.rollout import engine, scheduler
from fdjax.rollout import generate as generate_module
from fdjax.rollout.generate import Request, Sampling, generate, grouped, reporter
from fdjax.rollout.scheduler import Figures, Written, plan, run
from fdjax.runtime import hosts, sharding

# --- Shapes --------------------------------------------------------------------------------------

QWEN3_8B = ModelConfig(
    vocab_size=151936,
    width=4096,
    num_layers=36,
    num_heads=32,
    num_kv_heads=8,
    head_dim=128,
    mlp_width=12288,
    dtype="bfloat16",
)


def planned(
    mesh=(1, 1, 1), model=TINY, samples=1000, prompt=64, response=128, episodes=None, **config
):
    lengths = {"prompt": prompt, "response": response, "episodes": episodes}
    made = sharding.make_mesh(*mesh)
    return plan(GenerationConfig(**config), model, made, samples=samples, **lengths)


def test_the_cache_holds_the_longest_sample_and_a_chunk():
    for prompt, response in ((64, 28), (64, 128), (1, 1), (2048, 6144)):
        made = planned(prompt=prompt, response=response)
        assert made.columns >= prompt + response + made.chunk
        assert made.columns % 8 == 0 and made.prompt == prompt
    assert [planned(response=r).chunk for r in (28, 128, 6144)] == [8, 16, 64]
    assert planned(chunk=5).chunk == 5
    assert planned(prompt=2048, response=6144).columns % 128 == 0


def test_slots_are_as_many_as_samples_need():
    """Quarters of what the config says, so that few shapes are compiled; on a CPU few slots, which
    are filled again.
    """
    counts = (1, 2, 3, 20, 64, 128, 255, 256)
    assert [planned(samples=n, slots=128).slots for n in counts] == [2, 2, 2, 8, 32, 32, 32, 128]
    assert planned(slots=48, samples=5000).slots == 48
    assert planned(slots=48, samples=96).slots == 48


def test_an_accelerator_writes_all_samples_at_once(monkeypatch):
    monkeypatch.setattr(scheduler, "_on", lambda mesh, platform: platform == "tpu")
    counts = (1, 2, 3, 20, 33, 128, 5000)
    assert [planned(samples=n, slots=128).slots for n in counts] == [2, 2, 8, 32, 128, 128, 128]
    assert planned(slots=48, samples=40).slots == 48
    made = planned(slots=48)
    assert made.starts == 12 and made.prompts == 3
    one = planned(slots=1)
    assert (one.prompts, one.starts) == (1, 1)


def test_a_chunk_reads_a_part_of_a_long_cache():
    mesh = sharding.make_mesh(1, 1, 1)
    assert scheduler.widths(88, mesh) == [88]
    assert scheduler.widths(192, mesh) == [128, 192]
    assert scheduler.widths(8320, mesh) == [2080, 4160, 6240, 8320]


def test_slots_and_prompts_split_over_the_devices():
    for slots, count in ((128, 3), (10, 100), (1, 1)):
        made = planned((2, 2, 2), slots=slots, samples=count)
        assert made.slots % 4 == 0 and made.prompts % 4 == 0
    assert planned((2, 2, 2), slots=10).slots == 12


def test_memory_bounds_slots():
    """Keys and values of Qwen3-8B take 0.147 MB per token: 1.22 GB per sample of 8,192 tokens."""
    lengths = {"prompt": 2048, "response": 6144, "slots": 128}
    made = planned(model=QWEN3_8B, memory_gb=10.0, **lengths)
    columns = 2048 + 6144 + 64
    assert made.columns == 8320 >= columns
    per_token = 2 * 36 * 8 * 128 * 2
    read = 6240  # columns that XLA copies to read them, where it does not read all
    assert made.slots == int(10e9 // (per_token * (8320 + 64 + read))) == 4
    # Each of 8 devices that share the heads holds an eighth of a sample.
    on_eight = planned((1, 1, 8), model=QWEN3_8B, memory_gb=10.0, **lengths)
    assert on_eight.slots == int(10e9 * 8 // (per_token * (8320 + 64 + read)))
    # Two rows of four devices: the memory of both.
    assert planned((2, 1, 4), model=QWEN3_8B, memory_gb=10.0, **lengths).slots == 2 * 18
    # Heads that the devices do not divide are on each of them.
    three = dataclasses.replace(QWEN3_8B, num_kv_heads=3, num_heads=6)
    assert (
        planned((1, 1, 4), model=three, memory_gb=10.0, **lengths).slots
        == planned(model=three, memory_gb=10.0, **lengths).slots
    )
    assert planned(model=QWEN3_8B, memory_gb=10.0, **lengths | {"slots": 4}).slots == 4


def test_the_store_of_episodes_takes_memory():
    episodes = EnvironmentConfig(turns=4, answer_tokens=500)
    made = planned(slots=48, prompt=2048, response=6144, episodes=episodes)
    assert made.store == 36 and made.answer == 64 and made.chunk == 64  # an eighth of a turn: 192
    assert made.readers == 6 and made.store - made.starts == 24  # rows for those that wait
    assert made.columns >= 2048 + 6144 + 64
    short = planned(slots=48, response=100, episodes=EnvironmentConfig(turns=4, answer_tokens=50))
    assert short.answer == 24 > short.chunk == 8 and short.columns >= 64 + 100 + 24
    assert planned(slots=1, episodes=episodes).store == 1
    given = {"model": QWEN3_8B, "memory_gb": 20.0, "prompt": 2048, "response": 6144, "slots": 128}
    plain, stored = planned(**given).slots, planned(**given, episodes=episodes).slots
    assert 0.6 < stored / plain < 0.8
    for mesh in ((1, 1, 1), (2, 2, 2)):
        made = planned(mesh, slots=10, episodes=episodes)
        assert made.store % mesh[0] == 0 and made.store >= made.starts


def test_memory_that_holds_no_sample_is_refused():
    message = (
        r"^generation\.memory_gb=1\.0: the keys and values of one sample of 2048 \+ 6144 tokens "
        r"need 2\.16 GB on each device$"
    )
    with pytest.raises(ConfigError, match=message):
        planned(model=QWEN3_8B, memory_gb=1.0, prompt=2048, response=6144)


# --- Slots ---------------------------------------------------------------------------------------

LENGTHS = (6, 1, 4, 5, 2, 6, 3)
PROMPTS = random_prompts(TINY, LENGTHS)
QUEUE = samples(range(100, 107), 3)
STOP = (3, 11)


@pytest.fixture(scope="module")
def params():
    return random_params(TINY)


def started(params, layout=None, **rest):
    """(the iterator of `run`, its figures)"""
    mesh, figures = sharding.make_mesh(), Figures(len(QUEUE))
    weights = decoding.weights(TINY, params, mesh)
    how = drawing(1.0, STOP)
    written = run(
        layout or shapes(), TINY, weights, mesh, PROMPTS, QUEUE, how, key(), figures, **rest
    )
    return written, figures


def as_lists(written):
    return [(w.sample, w.tokens.tolist(), w.logprobs.tolist(), w.finished) for w in written]


def test_samples_are_yielded_as_they_end(params, monkeypatch):
    """The first before the last begins; and the next chunk is on the device by then."""
    insert, decode, events = engine.insert, engine.decode, []

    def inserting(slots, prompts, new, key):
        chosen = new.slot_M < len(slots.token_S)
        events.extend(
            ("begins", name, index)
            for name, index in zip(new.name_M[chosen].tolist(), new.sample_M[chosen].tolist())
        )
        return insert(slots, prompts, new, key)

    def decoding_(*args, **kwargs):
        events.append(("chunk",))
        return decode(*args, **kwargs)

    monkeypatch.setattr(engine, "insert", inserting)
    monkeypatch.setattr(engine, "decode", decoding_)
    written, figures = started(params)
    done = []
    for out in written:
        sample = QUEUE[out.sample]
        events.append(("ends", sample.name, sample.index))
        done.append(figures.done)
    begun = [event[1:] for event in events if event[0] == "begins"]
    ended = [event[1:] for event in events if event[0] == "ends"]
    assert begun == [(s.name, s.index) for s in QUEUE]  # in the order of the queue
    assert sorted(ended) == sorted(begun)
    first_end = events.index(("ends", *ended[0]))
    assert first_end < events.index(("begins", *begun[-1]))
    # What a chunk ended is in the caller's hands while the device has the next.
    chunks_before_end = events[:first_end].count(("chunk",))
    assert chunks_before_end >= 2
    assert done == sorted(done) and done[-1] == len(QUEUE)


def test_the_same_decisions_every_time(params):
    one, two = (as_lists(started(params)[0]) for _ in range(2))
    assert one == two and len(one) == len(QUEUE)


def test_figures(params):
    written, figures = started(params)
    written = list(written)
    assert (figures.total, figures.done, figures.active) == (len(QUEUE), len(QUEUE), 0)
    assert figures.tokens == sum(len(w.tokens) for w in written)
    # 4 slots: no more tokens than slots in a step.
    assert figures.tokens / 4 <= figures.steps <= figures.tokens
    assert figures.seconds > 0
    # The fp32 parameters once a step: the head is the embedding, of which else a row is read.
    weights = sum(x.size for x in jax.tree.leaves(params))
    attended = sum(
        len(PROMPTS[QUEUE[w.sample].prompt]) + token
        for w in written
        for token in range(len(w.tokens))
    )
    keys_and_values = attended * TINY.num_layers * 2 * TINY.num_kv_heads * TINY.head_dim
    assert figures.bytes_read == 4 * (figures.steps * weights + keys_and_values)


def test_more_slots_than_samples_and_fewer_prompts_than_a_block(params):
    expected = sorted(as_lists(started(params)[0]))
    found = sorted(as_lists(started(params, shapes(slots=64, prompts=16, starts=16))[0]))
    assert [(n, tokens, end) for n, tokens, _, end in found] == [
        (n, tokens, end) for n, tokens, _, end in expected
    ]


def test_a_caller_that_stops_early_leaves_nothing_behind(params):
    written, _ = started(params)
    first = next(written)
    written.close()
    again, _ = started(params)
    assert as_lists([next(again)]) == as_lists([first])


def compilations(caplog):
    compiled = [m for m in caplog.messages if m.startswith("Compiling")]
    return collections.Counter(re.match(r"Compiling (?:jit\()?(\w+)", m)[1] for m in compiled)


# --- Whole generations ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator():
    """Of a random model, which writes any token; 24 attempts in 8 slots."""
    made = small_generator()
    model = dataclasses.replace(TINY, vocab_size=made.model.vocab_size)
    settings = GenerationConfig(slots=8, chunk=5)
    return dataclasses.replace(made, model=model, settings=settings)


@pytest.fixture(scope="module")
def random_model(generator):
    return jax.jit(lambda key: transformer.init(generator.model, key))(jax.random.key(0))


def test_one_compilation_per_function_and_shape(generator, random_model, caplog):
    """With refilling; and none at all for other temperatures, seeds, steps and parameters."""
    jax.clear_caches()
    widths, decode = set(), engine.decode

    def noting(*args, width, **kwargs):
        widths.add(width)
        return decode(*args, width=width, **kwargs)

    with pytest.MonkeyPatch.context() as patch, jax.log_compiles(), caplog.at_level("WARNING"):
        patch.setattr(engine, "decode", noting)
        patch.setattr(scheduler, "widths", lambda columns, mesh: [columns - 72, columns])
        first = written_tokens(generator, random_model)
    assert len(widths) == 2
    large = {"empty": 1, "prefill": 1, "insert": 1, "decode": len(widths), "_key": 1}
    assert compilations(caplog) == large | {"copy": 1}
    caplog.clear()
    other = jax.jit(lambda params: jax.tree.map(lambda x: 1.1 * x, params))(random_model)
    colder = {"temperature": 0.6, "seed": 1, "step": 4, "samples": 3}
    with jax.log_compiles(), caplog.at_level("WARNING"):
        second = written_tokens(generator, other, **colder)
    assert not compilations(caplog)
    assert first != second


def test_attempts_have_the_order_of_requests_and_samples(generator, random_model):
    requests = [Request(t, generator.prompts.student(t), t.id) for t in THEOREMS[:6]]
    sampling = Sampling(samples=4, temperature=1.0, seed=0, stream="s")
    pairs = list(generate(generator, random_model, requests, sampling))
    assert [place for place, _ in pairs] != sorted(place for place, _ in pairs)
    groups = grouped(pairs, 6)
    assert [[a.sample for a in group] for group in groups] == [[0, 1, 2, 3]] * 6
    assert [{a.theorem_id for a in g} for g in groups] == [{t.id} for t in THEOREMS[:6]]
    assert all(len(a.tokens) == len(a.logprobs) and a.entropy > 0 for g in groups for a in g)


def test_step_stream_and_seed_enter_the_keys(generator, random_model):
    changes = ({}, {"step": 1}, {"stream": "t"}, {"seed": 1})
    made = [written_tokens(generator, random_model, **c) for c in changes]
    assert len({str(tokens) for tokens in made}) == 4


@pytest.mark.parametrize(("heads", "kv_heads", "tensor"), [(4, 2, 2), (6, 3, 1)])
def test_eight_devices_write_as_one(generator, heads, kv_heads, tensor):
    """Heads that some of the devices divide, and heads that none does."""
    model = dataclasses.replace(generator.model, num_heads=heads, num_kv_heads=kv_heads)
    params = random_params(model)
    alone = dataclasses.replace(generator, model=model)
    mesh = sharding.make_mesh(replica=2, fsdp=2, tensor=2)
    assert sharding.decoding_mesh(mesh, model).shape["tensor"] == tensor
    split = jax.device_put(params, sharding.tree_shardings(params, mesh))
    settings = GenerationConfig(slots=16, chunk=3)
    eight = dataclasses.replace(alone, mesh=mesh, settings=settings)
    assert written_tokens(eight, split) == written_tokens(alone, params)


def test_nothing_is_compiled_twice_on_eight_devices(generator, random_model, caplog):
    mesh = sharding.make_mesh(replica=2, fsdp=2, tensor=2)
    params = jax.device_put(random_model, sharding.tree_shardings(random_model, mesh))
    eight = dataclasses.replace(generator, mesh=mesh)
    jax.clear_caches()
    with jax.log_compiles(), caplog.at_level("WARNING"):
        written_tokens(eight, params)
        counts = compilations(caplog)
    assert counts["empty"] == counts["prefill"] == counts["insert"] == counts["copy"] == 1
    assert counts["decode"] <= 4, counts
    caplog.clear()
    with jax.log_compiles(), caplog.at_level("WARNING"):
        written_tokens(eight, params, step=3)
    assert not compilations(caplog)


# --- Progress ------------------------------------------------------------------------------------


def written_one(number):
    empty = np.zeros(0)
    return Written(number, empty, empty, empty, True)


@pytest.fixture
def output(monkeypatch):
    file = io.StringIO()
    console = rich.console.Console(file=file, width=200, highlight=False)
    monkeypatch.setattr(generate_module, "console", console)
    return file


def test_a_line_says_how_far_it_is(output, monkeypatch):
    clock = iter((0.0, 31.0, 60.0, 120.0, 125.0))
    monkeypatch.setattr(generate_module.time, "monotonic", lambda: next(clock))
    figures = Figures(total=8, tokens=310, active=16)
    report = reporter(figures, 16, "fd", every=29.0)
    report()  # nothing has ended yet
    for done in (2, 4, 5):
        figures.done, figures.tokens, figures.active = done, 600 * done, 3
        report()
    assert output.getvalue().splitlines() == [
        "fd: 0 of 8 attempts, 10 tokens/s, 16 of 16 slots",
        "fd: 2 of 8 attempts, 20 tokens/s, 3 of 16 slots, left 3:00",
        "fd: 4 of 8 attempts, 20 tokens/s, 3 of 16 slots, left 2:00",
    ]


def test_progress_of_a_generation(output, params):
    written, figures = started(params, on_chunk=lambda: report())
    report = reporter(figures, 4, "s", every=0)
    assert len(list(written)) == len(QUEUE)
    lines = output.getvalue().splitlines()
    assert " 4 of 4 slots" in lines[0] and len(lines) > 5
    assert lines[-1].startswith("s: 21 of 21 attempts, ") and lines[-1].endswith(", left 0:00")


def test_one_host_reports(output, params, monkeypatch):
    monkeypatch.setattr(hosts, "is_first", lambda: False)
    written, figures = started(params, on_chunk=lambda: report())
    report = reporter(figures, 4, "s", every=0)
    assert len(list(written)) == len(QUEUE)
    assert not output.getvalue()
