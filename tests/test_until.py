"""What ends a sample by its text: found on the device where a search in the text finds it."""

import dataclasses

import jax
import numpy as np
import pytest
from rollouts import THEOREMS, small_generator
from tiny_model import QUICK

from fdjax.batches.token_weights import token_weights
from fdjax.config import DistillationConfig
from fdjax.models import decoding, transformer
from fdjax.models import tokenizer as tk
from fdjax.models.config import ModelConfig
from fdjax.rollout import engine
from fdjax.rollout.generate import Request, Sampling, generate, grouped
from fdjax.rollout.prompts import Template, read_attempt
from fdjax.rollout.until import until_table
from fdjax.types import Feedback, Verdict
from tests import tiny_tokenizers

LAYOUTS = {layout.__name__: layout for layout in tiny_tokenizers.LAYOUTS}
TEXTS = ("```", "\n\n", "aabaaab", "∀", "end", " \n  ⟩")


def tokenizer_of(name, folder):
    if name == "trained":
        return tk.train(tiny_tokenizers.TEXTS, 400)
    pytest.importorskip("tokenizers")
    return tk.load(LAYOUTS[name](folder))


def first_end(tokenizer, until, ids):
    """How many of the ids it takes until their text contains `until`; None: never."""
    counts = range(1, len(ids) + 1)
    return next((n for n in counts if until in tokenizer.decode(ids[:n])), None)


@pytest.mark.parametrize("name", ["trained", "qwen", "llama2", "gemma_pieces"])
def test_the_table_finds_what_the_decoded_text_contains(name, tmp_path):
    """Random ids: control tokens, parts of characters, tokens that span the text's end."""
    tokenizer, rng = tokenizer_of(name, tmp_path), np.random.default_rng(0)
    vocabulary = tokenizer.vocab_size + 5  # a model's embedding may have more rows
    met = 0
    for until in TEXTS:
        table = until_table(tokenizer, until, vocabulary)
        assert table.shape == (len(until.encode()), vocabulary) and table.dtype == np.uint8
        pieces = [until, until[:1], until[1:], until[: len(until) // 2], "x" + until[-1:], "é"]
        likely = sorted({i for p in pieces for i in tokenizer.encode(p)} | {tokenizer.eos_id})
        for _ in range(150):
            ids = rng.choice(likely, 12).tolist()
            ids[3:5] = rng.integers(tokenizer.vocab_size, size=2).tolist()
            state, found = 0, None
            for number, i in enumerate(ids, start=1):
                state = table[state, i]
                if state == len(table):
                    found = number
                    break
            assert found == first_end(tokenizer, until, ids), (until, ids)
            met += found is not None
    assert met > 40
    assert (table[:, tokenizer.vocab_size :] == np.arange(len(table))[:, None]).all()


MODEL = ModelConfig(
    vocab_size=400, width=16, num_layers=1, num_heads=2, num_kv_heads=1, head_dim=8, mlp_width=16
)


@pytest.fixture(scope="module")
def generator():
    """Of a random model, which writes any token."""
    model = dataclasses.replace(MODEL, vocab_size=small_generator().model.vocab_size)
    return dataclasses.replace(small_generator(), model=model)


@pytest.fixture(scope="module")
def params(generator):
    return jax.jit(lambda key: transformer.init(generator.model, key))(jax.random.key(0))


def with_until(generator, until):
    template = Template("{goal}", "{feedback}{goal}", " by\n  ", until)
    return dataclasses.replace(
        generator, prompts=dataclasses.replace(generator.prompts, template=template)
    )


def attempts(generator, params):
    requests = [Request(t, generator.prompts.student(t), t.id) for t in THEOREMS[:4]]
    sampling = Sampling(samples=4, temperature=1.0, seed=0, stream="s")
    written = generate(generator, params, requests, sampling)
    return [a for group in grouped(written, len(requests)) for a in group]


@pytest.mark.parametrize("until", ["e", "h1", "\n"])
def test_a_sample_is_the_start_of_what_it_would_be(generator, params, until):
    """Up to the token that completes the text, which is kept; the others are as they were."""
    ended = 0
    for free, cut in zip(
        attempts(with_until(generator, ""), params), attempts(with_until(generator, until), params)
    ):
        tokenizer = generator.prompts.tokenizer
        length = first_end(tokenizer, until, free.tokens)
        assert cut.tokens == free.tokens[:length]
        # A slot that is free earlier is filled earlier: sums are rounded in another order.
        assert cut.logprobs == pytest.approx(free.logprobs[:length], rel=1e-5)
        assert cut.finished == (free.finished or length is not None)
        assert len(cut.offsets) == len(cut.tokens)
        if length:
            assert cut.candidate.text == " by\n  " + tokenizer.decode(cut.tokens).split(until)[0]
            assert cut.offsets[-1] <= len(cut.candidate.text)
            ended += 1
        else:
            same = {"logprobs": cut.logprobs, "entropy": cut.entropy}
            assert dataclasses.replace(free, **same) == cut
    assert ended > 0


def test_such_an_attempt_is_distilled(generator, params):
    """Each of its tokens, up to the one that ends it."""
    ended = [a for a in attempts(with_until(generator, "e"), params) if a.finished]
    groups = [[(THEOREMS[0], a, Verdict("failed"), Feedback(("no",), "test"))] for a in ended]
    weighted = token_weights(DistillationConfig(), groups)
    assert len(weighted) == len(ended) > 0
    assert [len(w.weights) for w in weighted] == [len(a.tokens) for a in ended]
    assert all(all(w.weights) for w in weighted)


def test_a_stop_id_has_no_text(generator):
    """Whatever ended the response before it; behind the text itself it would never be drawn."""
    prompts = with_until(generator, "end").prompts
    tokenizer = prompts.tokenizer
    proof, last = tokenizer.encode("exact h"), tokenizer.encode("end")
    by_id = read_attempt(prompts, THEOREMS[0], 0, [*proof, tokenizer.eos_id], [0.0] * 99, True)
    by_text = read_attempt(prompts, THEOREMS[0], 0, [*proof, *last], [0.0] * 99, True)
    cut_off = read_attempt(prompts, THEOREMS[0], 0, proof, [0.0] * 99, False)
    assert by_id.candidate == by_text.candidate == cut_off.candidate
    assert by_id.offsets[-1] == len(by_id.candidate.text) == by_text.offsets[len(proof)]


def test_nothing_waits_for_the_host_and_chats_have_no_such_end(generator, params):
    """One program, whatever the text; without a text the program of before."""
    model = generator.model
    weights = decoding.weights(model, params, generator.mesh)
    slots = jax.eval_shape(lambda: engine.empty(model, slots=4, columns=16))

    def lowered(*table):
        how = engine.Drawing(1.0, np.array([0], np.int32), *table)
        return engine.decode.lower(model, weights, slots, how, 4, steps=8, width=8)

    plain = lowered().as_text()
    assert plain == lowered(None).as_text() and "xui8" not in plain
    table = with_until(generator, "end").prompts.until_table(model.vocab_size)
    searching = lowered(jax.ShapeDtypeStruct(table.shape, table.dtype))
    assert "ui8" in searching.as_text() and "callback" not in searching.as_text()
    searching.compile(QUICK)
    chat = dataclasses.replace(Template("", ""), until="end", chat=True)
    assert dataclasses.replace(generator.prompts, template=chat).until_table(400) is None
