"""A GGUF file, the format of llama.cpp, as a folder of Hugging Face's: transformers converts it."""

from pathlib import Path


def write_folder(file: Path, out: Path) -> None:
    """The model, whose quantised weights become fp32, and its tokenizer. It is whole in memory.

    Raises ValueError if there is no such file, if a package is missing, or where transformers
    cannot read it.
    """
    if not file.is_file():
        raise ValueError(f"{file}: there is no such file")
    source = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    try:
        import gguf  # noqa: F401, transformers imports it later
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(**source)
        words = AutoTokenizer.from_pretrained(**source)
    except ImportError as error:
        raise ValueError(f"{error}: pip install -e '.[gguf]'") from error
    # With these transformers takes the model for a quantised one, and does not save it.
    vars(model.config).pop("quantization_config", None)
    vars(model).pop("hf_quantizer", None)
    model.save_pretrained(out)
    words.save_pretrained(out)
