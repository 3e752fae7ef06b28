"""Small tokenizers in the layouts of published models, trained on the spot."""

import io
import json
from pathlib import Path

import sentencepiece

TEXTS = (Path(__file__).parent / "data" / "embedded_theorems.lean").read_text().split("\n\n") + [
    "Complete the following Lean 4 code:\n\n```lean4\nimport Mathlib\n\ntheorem t : p := by\n",
    "user\nassistant\nsystem\nmodel\n/-- Show that it is $10$. -/ 1234567",
]
THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}"
)
HEADERS = (
    "{{ bos_token }}{% set date = strftime_now('%d %b %Y') if strftime_now is defined else '26 Jul"
    " 2024' %}{%- for message in messages %}\n    {%- if message.role not in ['system', 'user',"
    " 'assistant'] %}{% continue %}{% endif %}\n    {{- '<|start_header_id|>' + message['role'] +"
    " '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n'"
    " }}\n{%- endif %}"
)
TURNS = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not "
    "supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != "
    "(loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\\n' + "
    "message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<start_of_turn>model\\n' }}{% endif %}"
)
INSTRUCTIONS = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + "
    "' [/INST]' }}{% else %}{% generation %}{{ ' ' + m.content + ' ' + eos_token }}"
    "{% endgeneration %}{% endif %}{% endfor %}"
)
SPEAKERS = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<｜User｜>' + m.content }}"
    "{% elif m.role == 'system' %}{{ m.content }}{% else %}{{ '<｜Assistant｜>' + m.content + "
    "eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}"
    "{% endif %}"
)
_WORDS = {  # how the texts are cut before byte pairs are joined
    "qwen": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def qwen(folder: Path) -> Path:
    """Qwen3: NFC, no bos, thinking in the template, `<think>` added but not special."""
    return _write(
        folder,
        _byte_level(
            [_split(_WORDS["qwen"])],
            ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            ["<tool_call>", "<think>", "</think>"],
            normalizer={"type": "NFC"},
        ),
        {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": THINKING},
        stop=["<|im_end|>", "<|endoftext|>"],
    )


def llama3(folder: Path) -> Path:
    """Llama 3: digits by three, whole words kept, bos by the post-processor, no pad."""
    spec = _byte_level(
        [_split(_WORDS["llama3"])],
        [
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eot_id|>",
        ],
    )
    spec["model"]["ignore_merges"] = True
    spec["post_processor"] = {
        "type": "Sequence",
        "processors": [
            {
                "type": "ByteLevel",
                "add_prefix_space": True,
                "trim_offsets": False,
                "use_regex": True,
            },
            _bos_first(spec, "<|begin_of_text|>"),
        ],
    }
    config = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    stop = ["<|end_of_text|>", "<|eot_id|>"]
    folder = _write(folder, spec, config, stop=stop)
    (folder / "chat_template.jinja").write_text(HEADERS)
    return folder


def deepseek(folder: Path) -> Path:
    """DeepSeek-Prover: several splits, names that hold ▁, speakers that are not special."""
    spec = _byte_level(
        [_split(r"[\r\n]"), _split(r"\s?\p{L}+"), _split(r"\s?\p{P}+"), _split(r"\p{N}")],
        ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"],
        ["<｜User｜>", "<｜Assistant｜>"],
    )
    spec["post_processor"] = _bos_first(spec, "<｜begin▁of▁sentence｜>")
    config = {
        "bos_token": {"__type": "AddedToken", "content": "<｜begin▁of▁sentence｜>"},
        "eos_token": {"__type": "AddedToken", "content": "<｜end▁of▁sentence｜>"},
        "pad_token": {"__type": "AddedToken", "content": "<｜end▁of▁sentence｜>"},
        "add_bos_token": True,
        "chat_template": SPEAKERS,
    }
    return _write(folder, spec, config, stop="<｜end▁of▁sentence｜>")


def llama2(folder: Path) -> Path:
    """Llama 2 as tokenizer.json: a space before all text, characters in bytes."""
    spec = _byte_fallback(
        ["<unk>", "<s>", "</s>"],
        {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, _SPACES]},
    )
    spec["post_processor"] = _bos_first(spec, "<s>")
    spec["decoder"]["decoders"].append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    config = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "chat_template": [{"name": "default", "template": INSTRUCTIONS}],
    }
    return _write(folder, spec, config, stop="</s>")


def gemma(folder: Path) -> Path:
    """Gemma as tokenizer.json: turns that are special, runs of space that are not."""
    control = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    spec = _byte_fallback(control, _SPACES, added=["\n\n", "▁▁", "<b>"])
    spec["pre_tokenizer"] = _split(" ", "MergedWithPrevious")
    spec["post_processor"] = _bos_first(spec, "<bos>")
    config = {
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "chat_template": TURNS,
    }
    return _write(folder, spec, config, stop=["<eos>", "<end_of_turn>"])


def llama2_pieces(folder: Path) -> Path:
    """Llama 2 as tokenizer.model alone."""
    config = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "add_bos_token": True,
        "chat_template": INSTRUCTIONS,
    }
    return _write_pieces(folder, config, stop=2, add_dummy_prefix=True)


def gemma_pieces(folder: Path) -> Path:
    """Gemma as tokenizer.model alone: its turns are "user-defined" pieces."""
    turns = ["<mask>", "<start_of_turn>", "<end_of_turn>"]
    config = {
        "tokenizer_class": "GemmaTokenizer",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "add_bos_token": True,
        "chat_template": TURNS,
        "added_tokens_decoder": {
            str(4 + i): {"content": t, "special": True} for i, t in enumerate(turns)
        },
    }
    return _write_pieces(
        folder,
        config,
        stop=[1, 6],
        add_dummy_prefix=False,
        user_defined_symbols=[*turns, "\n", "\n\n", "▁▁"],
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
    )


LAYOUTS = (qwen, llama3, deepseek, llama2, gemma, llama2_pieces, gemma_pieces)

# --- Parts of tokenizer.json ---------------------------------------------------------------------

_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def _split(pattern: str, behavior: str = "Isolated") -> dict:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": False}


def _byte_level(splits, special, added=(), normalizer=None) -> dict:
    level = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": False,
    }
    cut = {"type": "Sequence", "pretokenizers": [*splits, level]}
    spec = _trained(TEXTS, cut, alphabet=True)
    _add(spec, special, added)
    return spec | {"normalizer": normalizer, "decoder": level}


def _byte_fallback(control, normalizer, added=()) -> dict:
    spec = _trained([t.replace(" ", "▁") for t in TEXTS], _split("▁", "MergedWithNext"))
    names = [*control, *(f"<0x{byte:02X}>" for byte in range(256)), *spec["model"]["vocab"]]
    spec["model"] |= {
        "vocab": {name: i for i, name in enumerate(names)},
        "unk_token": "<unk>",
        "byte_fallback": True,
        "fuse_unk": True,
    }
    _add(spec, control, added)
    back = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    return spec | {
        "normalizer": normalizer,
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": back},
    }


def _trained(texts, pre_tokenizer, alphabet=False) -> dict:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    empty = json.loads(Tokenizer(models.BPE()).to_str()) | {"pre_tokenizer": pre_tokenizer}
    tokenizer = Tokenizer.from_str(json.dumps(empty))
    letters = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, initial_alphabet=letters)
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())


def _add(spec, special, added) -> None:
    vocabulary = spec["model"]["vocab"]
    new = len(vocabulary)
    for name in [*special, *added]:
        i = vocabulary.get(name, new)
        new += i == new
        spec["added_tokens"].append(
            {
                "id": i,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": name in special,
            }
        )


def _bos_first(spec, name: str) -> dict:
    i = next(token["id"] for token in spec["added_tokens"] if token["content"] == name)
    bos = {"SpecialToken": {"id": name, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]}},
    }


def _write(folder: Path, spec: dict, config: dict, stop) -> Path:
    ids = {token["content"]: token["id"] for token in spec["added_tokens"]}
    stop_ids = ids[stop] if isinstance(stop, str) else [ids[name] for name in stop]
    files = {
        "tokenizer.json": spec,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"} | config,
        "generation_config.json": {"eos_token_id": stop_ids},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False))
    return folder


def _write_pieces(folder: Path, config: dict, stop, **how) -> Path:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 5),
        model_writer=model,
        model_type="bpe",
        vocab_size=450,
        hard_vocab_limit=False,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        num_threads=1,
        minloglevel=2,
        **how,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text(json.dumps({"eos_token_id": stop}))
    return folder
