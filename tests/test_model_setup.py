"""Tokenizer, template and model of a run: of the config, of a published model, of the workdir."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from tiny_runs import Lean, config_of_files, set_up
from tiny_updates import adamw

from fdjax.config import ConfigError, default, read
from fdjax.lean.farm import Farm
from fdjax.models import lora
from fdjax.models.config import ModelConfig
from fdjax.models.hf import config as hf
from fdjax.models.hf import convert, safetensors, weights
from fdjax.runtime.checkpoint import Checkpoints
from fdjax.training import setup
from fdjax.training.manifest import differences, stage_manifest, write_manifest
from fdjax.training.state import from_params
from fdjax.types import Candidate
from tests import tiny_tokenizers
from tests.tiny_config import change


@pytest.fixture
def config(tmp_path, monkeypatch):
    return config_of_files(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("model.num_layers", 0, "^model: num_layers is 0, must be positive"),
        ("model.num_kv_heads", 0, "^model: num_kv_heads is 0, must be positive"),
        ("model.head_dim", 7, "^model: head_dim is 7, must be even"),
        ("model.widht", 32, "^model: widht: no such field"),
        ("model.lora_rank", 4, "^model.lora_rank=4: adapters are added .* name it in init_from"),
        ("model.lora_targets", ("lm_head",), "^model: lora_targets has lm_head; known are q_proj"),
        ("tokenizer.vocab_size", 100, "^tokenizer.vocab_size: 100 is too small: .* at least 29"),
        ("tokenizer.path", "nowhere", "^tokenizer.path=nowhere: .*neither tokenizer.json"),
        ("data.sft", "0", "^data.sft holds no theorems to train a tokenizer on"),
        ("prompt.student", "{gaol}", "^prompt.student='{gaol}' is no template"),
        ("prompt.student", "{feedback}", "^prompt.student"),
        ("prompt.student", "Prove it.", "^prompt.student='Prove it.' does not show the theorem"),
        ("prompt.teacher", "{", "^prompt.teacher"),
        (
            "prompt.template",
            "x",
            "^prompt.template=x: no such file, and none of chat, chat_tools, ",
        ),
        ("prompt.template", "kimina_prover", "kimina_prover is a chat: it takes a published"),
        ("prompt.thinking", "on", "^prompt.thinking=on, but prompt.template is no chat"),
    ],
)
def test_bad_values_are_refused_by_name(config, tmp_path, path, value, message):
    change(config, path, value)
    with pytest.raises(ConfigError, match=message):
        set_up(config, tmp_path / "w")


def test_helpers_are_for_chats(config, tmp_path):
    config.lean.update(allow_helpers=True, replay=True)
    with pytest.raises(ConfigError, match=r"^lean\.allow_helpers: only the answers of chats can"):
        set_up(config, tmp_path / "w")


def test_a_tokenizer_that_does_not_fit_the_embedding(config, tmp_path):
    config.model.vocab_size = 99
    with pytest.raises(ConfigError, match=r"tokenizer: it has .* ids, .* embedding only 99 rows"):
        set_up(config, tmp_path / "w")
    config.model.vocab_size = 9999
    set_up(config, tmp_path / "w")


def test_a_published_tokenizer_and_a_template(config, tmp_path, monkeypatch):
    pytest.importorskip("tokenizers")
    pytest.importorskip("jinja2")
    config.tokenizer.path = str(tiny_tokenizers.qwen(tmp_path / "model"))
    config.prompt.update(
        template="goedel_prover_v2", thinking="off", student_buckets=(400,), teacher_buckets=(500,)
    )
    run, _, _ = set_up(config, tmp_path / "w")
    prompts = run.generator.prompts
    assert run.generator.model.vocab_size == prompts.tokenizer.vocab_size == 506
    prompt = prompts.tokenizer.decode(prompts.student(run.theorems["train"][0]))
    assert "Complete the following" in prompt and prompt.endswith("<think>\n\n</think>\n\n")
    manifest = stage_manifest(run, "fd", "x")
    assert manifest["prompt"]["thinking"] is False
    assert "proof plan" in manifest["prompt"]["teacher"]
    config.lean.allow_helpers = True
    with pytest.raises(ConfigError, match=r"allow_helpers: .* set lean.replay"):
        set_up(config, tmp_path / "w")
    config.lean.replay = True
    with pytest.raises(ConfigError, match=r"lean.replay: the backend embedded cannot replay"):
        set_up(config, tmp_path / "w")  # the backend of tiny_runs
    monkeypatch.setattr(setup, "replaying_farm", lambda *_: Farm(Lean(), 1))
    helped, _, _ = set_up(config, tmp_path / "w")
    assert helped.generator.prompts.allow_helpers
    assert helped.farm.allow_helpers and helped.farm.second
    [changed] = differences(manifest, stage_manifest(helped, "fd", "x"))
    assert "lean.allow_helpers" in changed
    (tmp_path / "model").rename(tmp_path / "moved")  # the run goes on without that folder
    config.tokenizer.path = None
    again, _, _ = set_up(config, tmp_path / "w")
    assert again.generator.prompts.tokenizer == prompts.tokenizer
    config.tokenizer.path = str(tiny_tokenizers.llama3(tmp_path / "other"))
    with pytest.raises(ConfigError, match=r"is not the tokenizer that .*w began with"):
        set_up(config, tmp_path / "w")


# --- A published model ---------------------------------------------------------------------------

PUBLISHED = ModelConfig(
    vocab_size=512,
    width=16,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    mlp_width=24,
    tie_embeddings=False,
    max_positions=700,
)


@pytest.fixture
def published(config, tmp_path):
    """A Hugging Face folder: weights, tokenizer, config.json; and a config that begins with it."""
    pytest.importorskip("tokenizers", reason="needs the hf extra")
    folder = tiny_tokenizers.qwen(tmp_path / "published")
    (folder / "config.json").write_text(json.dumps(hf.config_json(PUBLISHED, "bfloat16")))
    shapes = weights.expected_shapes(PUBLISHED)
    files = safetensors.create_folder(
        folder, {name: (shape, np.dtype("bfloat16")) for name, shape in shapes.items()}
    )
    rng = np.random.default_rng(0)
    for tensor in files.values():
        rows = rng.normal(size=tensor.shape).astype(tensor.dtype)
        safetensors.write_rows(tensor, rows)
    config.init_from = str(folder)
    config.model = default().model
    config.model.update(dtype="bfloat16", remat=True)
    config.prompt.update(student_buckets=(300,), teacher_buckets=(400,), response_length=300)
    return folder


def test_init_from_a_published_model(config, published, tmp_path):
    run, policy, names = set_up(config, tmp_path / "w")
    assert names == config.stages and policy.name == "pretrained"
    assert run.generator.model == dataclasses.replace(PUBLISHED, dtype="bfloat16", remat=True)
    assert run.generator.prompts.tokenizer.vocab_size == 506
    head = safetensors.read_rows(safetensors.open_folder(published)["lm_head.weight"])
    np.testing.assert_array_equal(policy.params["lm_head"], head.T.astype(np.float32))
    assert policy.params["lm_head"].dtype == np.float32
    manifest = stage_manifest(run, "fd", "x")
    assert manifest["published"] == hf.read_json(published)  # for exports; decides nothing
    without = run._replace(init_source=None)
    assert stage_manifest(without, "fd", "x")["fingerprint"] == manifest["fingerprint"]
    convert.from_hf(published, tmp_path / "ours")
    config.init_from = str(tmp_path / "ours")
    again = set_up(config, tmp_path / "again")
    assert again[0].generator == run.generator and again[2] == names
    jax.tree.map(np.testing.assert_array_equal, again[1].params, policy.params)


def test_what_ends_a_turn_is_told_learned_and_exported(config, published, tmp_path, capsys):
    """Files as beside Qwen3's base models: eos ends no turn, and no file names what does."""
    (published / "generation_config.json").write_text('{"temperature": 0.6, "eos_token_id": 500}')
    edited = json.loads((published / "tokenizer_config.json").read_text())
    edited["eos_token"] = "<|endoftext|>"
    (published / "tokenizer_config.json").write_text(json.dumps(edited))
    set_up(config, tmp_path / "v")  # no chat: nothing to tell
    assert "ends a turn" not in capsys.readouterr().out
    config.prompt.update(
        template="goedel_prover_v2", student_buckets=(400,), teacher_buckets=(400,)
    )
    run, policy, _ = set_up(config, tmp_path / "w")
    told = "the chat template ends a turn with <|im_end|>, and eos is <|endoftext|>"
    assert capsys.readouterr().out.count(told) == 1
    prompts = run.generator.prompts
    end = prompts.tokenizer.chat_eos_id
    assert prompts.tokenizer.stop_ids == (500, end) and end == 502
    taught = prompts.template.response_ids(
        prompts.tokenizer, run.theorems["train"][0], Candidate(" by simp")
    )
    assert taught[-1] == end

    stage = tmp_path / "w" / "fd"
    write_manifest(stage, stage_manifest(run, "fd", "x"))
    prompts.tokenizer.save(stage)
    with Checkpoints(stage / "checkpoints") as checkpoints:
        checkpoints.save(config.fd.steps, from_params(policy.params, adamw(), with_teacher=False))
    convert.to_hf(stage, tmp_path / "out")
    for name in ("config.json", "generation_config.json"):
        assert json.loads((tmp_path / "out" / name).read_text())["eos_token_id"] == [500, end]
    assert "temperature" in (tmp_path / "out" / "generation_config.json").read_text()


def test_adapters_on_a_published_model(config, published, tmp_path):
    """Fresh ones, the same for the same seed."""
    config.model.update(dtype="float32", lora_rank=2)
    config.model.lora_targets = ("v_proj",)
    run, policy, _ = set_up(config, tmp_path / "w")
    assert run.generator.model.lora_rank == 2
    trained, base = lora.split(policy.params)
    assert trained["layers"]["v_proj_lora"]["a"].shape == (2, 16, 2)
    assert not trained["layers"]["v_proj_lora"]["b"].any() and "embedding" in base
    again = set_up(config, tmp_path / "w")[1].params
    jax.tree.map(np.testing.assert_array_equal, again, policy.params)
    config.seed += 1
    other = lora.split(set_up(config, tmp_path / "v")[1].params)[0]
    assert (other["layers"]["v_proj_lora"]["a"] != trained["layers"]["v_proj_lora"]["a"]).any()


def test_a_published_model_that_does_not_fit(config, published, tmp_path):
    def refused(message, **changes):
        changed = config.copy_and_resolve_references()
        for block, fields in changes.items():
            for name, value in fields.items():
                change(changed, f"{block}.{name}", value)
        with pytest.raises(ConfigError, match=message):
            set_up(changed, tmp_path / "w")

    refused(
        r"holds another model:\n  model.width: 16 there, 32 now\nSet these fields of `model` to ",
        model={"width": 32, "head_dim": 8},
    )
    refused("model: widht: no such field", model={"widht": 32})
    refused(
        "prompt: the largest bucket and response_length: 701 tokens, but .* at most 700",
        prompt={"response_length": 301},
    )
    file = published / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    refused(r"init_from=.*model\.safetensors is truncated")
    (published / "config.json").write_text('{"model_type": "mamba"}')
    refused("init_from=.*'mamba' .no architecture. is not known")
    (published / "config.json").unlink()
    refused("has no config.json and holds no finished stage")


def test_fields_of_the_model_that_are_none_are_not_named(config):
    assert read(config).model["width"] == 32
    config.model.width = None
    assert "width" not in read(config).model
