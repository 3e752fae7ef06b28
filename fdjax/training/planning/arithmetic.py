"""The parts of a run where nothing compiles: from the shapes alone, as a good program would have
them. Attention never writes its scores, weights are gathered once a layer and pass.
"""

import math

import jax

from fdjax.models import lora
from fdjax.models.flops import forward_flops, matrices_flops
from fdjax.runtime.sharding import AXES
from fdjax.training.planning import updates
from fdjax.training.planning.costs import Cost
from fdjax.training.planning.parts import CHUNK, COUNTED, TOKEN, Part, Parts
from fdjax.training.planning.pod import Pod, size
from fdjax.training.planning.updates import Shape

LOGITS = 8  # times that the logits in fp32, the teacher's too, go to memory or come from there
ACTIVATIONS = 14  # arrays [tokens, D] in the compute dtype that a layer writes and reads again


def counted(pod: Pod, shapes: list[Shape]) -> Parts:
    found = {shape: _update(pod, shape) for shape in shapes}
    state, gradient = size(pod.state), size(updates.gradient(pod))
    learned = state - size(_frozen(pod))
    apply = Part(Cost(hbm=2 * learned + gradient), state + gradient, 0, how=COUNTED)
    return Parts(_generation(pod), found, apply)


def _generation(pod):
    model, shapes, chips = pod.model, pod.shapes, pod.decoding.devices.size
    tensor = pod.decoding.shape["tensor"]
    cache, weights = size(pod.slots.cache), size(pod.weights)
    rows = shapes.slots // (chips // tensor)

    def part(name, cost, temporary=0):
        return Part(cost, pod.held(name), round(temporary), how=COUNTED)

    parameters = size(pod.state.params)
    exchanged = _exchanged(model, tensor)
    prompts = shapes.prompts / (chips // tensor)
    reading = prompts * forward_flops(model, 0, shapes.prompt, logits=0) / tensor
    token = rows * forward_flops(model, shapes.columns - 1, shapes.columns, logits=1) / tensor
    logits = 4 * rows * model.vocab_size / tensor
    written = size(pod.prompts)
    moved = Cost(hbm=parameters + weights, all_gather=weights)
    return {
        "weights": part("weights", moved),
        "prefill": part(
            "prefill",
            Cost(
                hbm=weights + written + prompts * shapes.prompt * _traffic(model),
                flops=reading,
                all_reduce=prompts * shapes.prompt * exchanged,
            ),
        ),
        "insert": part("insert", Cost(hbm=2 * cache * shapes.starts / shapes.slots)),
        TOKEN: part(
            TOKEN,
            Cost(pod.least_read() + 4 * logits, token, all_reduce=rows * exchanged),
            3 * logits + pod.copied(),
        ),
        CHUNK: part(CHUNK, Cost(hbm=2 * cache * shapes.chunk / shapes.columns)),
    }


def _update(pod, shape):
    """Forward, and twice that backward; with remat forward once more. A teacher only reads, and
    frozen matrices have no gradient.
    """
    model = pod.model
    replica, fsdp, tensor = (pod.training.shape[axis] for axis in AXES)
    rows, width = shape.rows / pod.shards, _width(model)
    passes = 4 if model.remat else 3

    def flops(prompt):
        end = prompt + shape.response
        return rows * forward_flops(model, 0, end, logits=shape.response) / tensor

    teacher = flops(shape.teacher) if shape.teacher else 0.0
    head = rows * matrices_flops(model, 0, shape.response) / tensor * (passes - 3)
    total = passes * flops(shape.prompt) - head + teacher
    if model.lora_rank:
        columns = shape.prompt + shape.response
        total -= rows * matrices_flops(lora.without(model), columns, shape.response) / tensor
    own = rows * (shape.prompt + shape.response)
    read = rows * (shape.teacher + shape.response) if shape.teacher else 0
    gradient = updates.gradient(pod)
    whole = _count(pod.state.params) * width / tensor  # of a tensor shard, in the compute dtype
    summed = _count(gradient.of_trained) * 4 / tensor  # its gradient
    exchanged = _exchanged(model, tensor)
    gathers = (passes - 1) + (1 if shape.teacher else 0)
    cost = Cost(
        hbm=(own * passes + read) * _traffic(model) / tensor
        + gathers * whole
        + LOGITS * 4 * rows * shape.response * model.vocab_size / tensor,
        flops=total,
        all_reduce=(own * (passes - 1) + read) * exchanged + 2 * summed / fsdp * _ring(replica),
        all_gather=gathers * whole * _ring(fsdp),
        reduce_scatter=summed * _ring(fsdp),
    )
    held = size(pod.state) + size(gradient) + size(updates.microbatch(pod, shape))
    kept = own * model.width * width * model.num_layers  # the inputs of the layers
    inner = own * (4 * model.width + 3 * model.mlp_width / tensor) * width
    logits = 3 * 4 * 1024 * model.vocab_size / tensor
    gathered = 2 * whole / model.num_layers
    if not model.remat:
        inner *= model.num_layers
    new = size(gradient)  # of this microbatch, before it is added
    return Part(cost, held, math.ceil(kept + inner + logits + gathered + new), how=COUNTED)


def _frozen(pod):
    return lora.split(pod.state.params)[1]


def _count(params):
    return sum(math.prod(x.shape) for x in jax.tree.leaves(params))


def _width(model):
    return 2 if model.dtype == "bfloat16" else 4


def _traffic(model):
    """Bytes of HBM for a token's activations in a pass over all layers."""
    inner = ACTIVATIONS * model.width + 6 * model.mlp_width
    return model.num_layers * inner * _width(model)


def _exchanged(model, tensor):
    """Bytes that a chip sends for a token in a pass: two all-reduces of its activations a layer."""
    return _ring(tensor) * 2 * 2 * model.num_layers * model.width * _width(model)


def _ring(chips):
    """What a chip sends of an array that `chips` gather around a ring; an all-reduce sends twice
    that."""
    return (chips - 1) / chips
