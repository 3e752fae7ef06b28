"""FLOPs of a forward pass, counted on real tokens:

    2 * parameters * tokens + 4 * layers * heads * head_dim * sum of contexts

`parameters` are those of the layers' matrices, adapters included, and of the head for the tokens
whose logits are computed. A token's context is the number of tokens it attends to, itself included.
"""

from fdjax.models.config import ModelConfig


def forward_flops(model: ModelConfig, start: int, end: int, *, logits: int) -> int:
    """Of the tokens at positions `start` to `end` (excluded) of one sequence, `logits` of them with
    logits."""
    attention = 4 * model.num_heads * model.head_dim * contexts(model, start, end)
    return matrices_flops(model, end - start, logits) + attention


def contexts(model: ModelConfig, start: int, end: int) -> int:
    """The sum over layers and over the tokens at positions `start` to `end` (excluded) of the
    tokens that each attends to."""
    windowed = sum(model.windowed_layers)
    whole = (model.num_layers - windowed) * _context_sum(start, end, end)
    return whole + windowed * _context_sum(start, end, min(end, model.window))


def matrices_flops(model: ModelConfig, tokens: int, logits: int) -> int:
    """Of the layers' matrices for `tokens` tokens, and of the head for `logits` of them."""
    width, queries = model.width, model.num_heads * model.head_dim
    keys, inner = model.num_kv_heads * model.head_dim, model.mlp_width
    shapes = {
        "q_proj": (width, queries),
        "k_proj": (width, keys),
        "v_proj": (width, keys),
        "o_proj": (queries, width),
        "gate_proj": (width, inner),
        "up_proj": (width, inner),
        "down_proj": (inner, width),
    }
    parameters = sum(rows * columns for rows, columns in shapes.values())
    parameters += model.lora_rank * sum(sum(shapes[name]) for name in set(model.lora_targets))
    return 2 * model.num_layers * parameters * tokens + 2 * width * model.vocab_size * logits


def _context_sum(start: int, end: int, limit: int) -> int:
    """Sum of min(t + 1, limit) over t in range(start, end)."""
    full = max(start, min(end, limit))  # from here on every context is `limit`
    return (full * (full + 1) - start * (start + 1)) // 2 + limit * (end - full)
