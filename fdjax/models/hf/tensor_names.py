"""Hugging Face models: names of tensors <-> paths of parameters. Nothing here reads a tensor."""

from typing import NamedTuple

from fdjax.models.config import ModelConfig


class Tensor(NamedTuple):
    """Where a parameter lies: one tensor, or one per layer if the name has a {} for its index."""

    name: str
    transposed: bool  # matrices: PyTorch's are [out, in]

    @property
    def stacked(self) -> bool:
        return "{}" in self.name


def tensors(config: ModelConfig) -> dict[str, Tensor]:
    """Path of each parameter -> its tensor, in the order of a forward pass."""
    layer = "model.layers.{}."
    names = ["input_layernorm", "post_attention_layernorm"]
    norms = ["attention_norm", "mlp_norm"]
    if config.post_norms:
        names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        norms = ["attention_norm", "attention_post_norm", "mlp_norm", "mlp_post_norm"]
    out = {"embedding": Tensor("model.embed_tokens.weight", False)}
    for norm, name in zip(norms, names):
        out[f"layers/{norm}/scale"] = Tensor(f"{layer}{name}.weight", False)
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        out[f"layers/{name}/kernel"] = Tensor(f"{layer}self_attn.{name}.weight", True)
        if config.attention_bias and name != "o_proj":
            out[f"layers/{name}/bias"] = Tensor(f"{layer}self_attn.{name}.bias", False)
    for name in ("q_norm", "k_norm") if config.qk_norm else ():
        out[f"layers/{name}/scale"] = Tensor(f"{layer}self_attn.{name}.weight", False)
    for name in ("gate_proj", "up_proj", "down_proj"):
        out[f"layers/{name}/kernel"] = Tensor(f"{layer}mlp.{name}.weight", True)
    out["final_norm/scale"] = Tensor("model.norm.weight", False)
    if not config.tie_embeddings:
        out["lm_head"] = Tensor("lm_head.weight", True)
    return out


def text_name(name: str) -> str | None:
    """A tensor's name in a model of text alone; None of what a vision tower has (Gemma 3)."""
    for prefix, text in (("model.language_model.", "model."), ("language_model.", "")):
        if name.startswith(prefix):
            return text + name.removeprefix(prefix)
    parts = name.removeprefix("model.").split(".")
    return None if parts[0] in ("vision_tower", "multi_modal_projector") else name
