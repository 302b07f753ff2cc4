"""Write the facts of TensorFlow's ops that a SavedModel for inference may hold.

    .interop/tensorflow/bin/python tools/op_definitions.py     # writes src/mainstay/saved_model/graphs/definitions.json

Runs inside an environment that has TensorFlow, at development time only. Left out are ops of training, of datasets,
of summaries, of TPUs and of other machines, and those that TensorFlow registers for its own tests.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "src" / "mainstay" / "saved_model" / "graphs" / "definitions.json"

_LEFT_OUT = re.compile(
    r"^_|Dataset|Iterator|Summary|TPU|Tpu|Collective|BoostedTrees|Experimental|DTensor|Cudnn|Accumulator|Barrier"
    r"|Queue|Reader|^(Resource|Sparse|ResourceSparse)?Apply|XlaSparse|SparseCore|Nccl|Dedup"
    r"|^Risc|AudioMicro|Prelinearize|Infeed|Outfeed|EagerPy|^Py|MemoryCache|SeedGenerator|StatsAggregator|CandidateSampler|Rpc|Debug"
    r"|^(Old|A|B|Attr.*|Foo\d|Simple.*|Binary|Unary|None|TwoFloat.*|TwoInt.*|TwoRefs.*|Test.*|Type.*|Int.*|InPoly.*"
    r"|Float.*|FiveFloat.*|Func.*Attr|Kernel.*|ListInput|ListOutput|NIn.*|Namespace.*|OpWith.*|NPoly.*|N.*Twice|OutT.*|Out.*List.*"
    r"|Poly.*|Reserved.*|Restrict|RefIn|RefOut|RefInput.*|RefOutput.*|ResourceCreate.*|ResourceInit.*|ResourceUsing"
    r"|Stub.*|Mixed.*|String.*Attr|Default.*|ConstructionFails|CopyOp|DevicePlacementOp|Graph.*Version|Int64Output"
    r"|NoisyOp|Sleep.*|ComplexStruct|RequiresOlder.*|Get.*Task.*|Worker.*|XlaSend.*|XlaRecv.*|XlaHost.*|Skipgram"
    r"|.*Stage|StagePeek|StageSize|StageClear|MapPeek|MapSize|MapStage|MapUnstage.*|MapClear|MapIncomplete.*"
    r"|OrderedMap.*|NegTrain|KMC2.*|KmeansPlus.*|LMDB.*|Get(MinibatchS|MinibatchesIn|Stats).*|StoreMini.*"
    r"|ConvertTo.*Coo.*|Scoped.*|Sdca.*|Send|Recv|SymbolicGradient|Temporary.*|Dynamic.*Embedding.*)$"
)
_DEFINES_TRAINING = re.compile(r"(Grad|GradV2|GradV3|GradGrad|GradA|Backprop|BackpropV\d|BackpropFilter(V2)?)$")
_WANTED_ALL_THE_SAME = frozenset(
    re.findall(
        r"\w+",
        """
    AvgPool3DGrad AvgPoolGrad BiasAddGrad Conv2DBackpropFilter Conv2DBackpropFilterV2 Conv2DBackpropInputV2
    Conv3DBackpropFilter Conv3DBackpropFilterV2 DebugGradientIdentity DebugIdentity DebugIdentityV2 DebugIdentityV3
    DepthwiseConv2dNativeBackpropFilter EluGrad FusedBatchNormGrad FusedBatchNormGradV2 FusedBatchNormGradV3
    IgammaGradA InvGrad LRNGrad LeakyReluGrad MaxPool3DGrad MaxPoolGrad MaxPoolGradV2 MaxPoolGradWithArgmax
    MirrorPadGrad Polygamma PreventGradient QueueDequeueV2 ReciprocalGrad Relu6Grad ReluGrad ResizeBicubicGrad
    ResizeBilinearGrad ResizeNearestNeighborGrad ResourceGather ResourceGatherNd RsqrtGrad SeluGrad SigmoidGrad
    SoftplusGrad SoftsignGrad SqrtGrad StridedSliceGrad TanhGrad XlaOptimizationBarrier _FusedBatchNormEx
    _FusedConv2D _FusedConv3D _FusedDepthwiseConv2dNative _FusedMatMul
    """,
    )
)


def _number_name(number: int) -> str:
    name: str = import_module("tensorflow.core.framework.types_pb2").DataType.Name(number)
    return name.removeprefix("DT_").lower()


def _type(argument: Any) -> str:
    """Return an argument's type as `REGISTER_OP` writes it, such as ``N * T``; a fixed type starts with ``=``."""
    if argument.type_list_attr:
        return f"{argument.type_list_attr} *"
    kind = argument.type_attr or f"={_number_name(argument.type)}"
    return f"{argument.number_attr} * {kind}" if argument.number_attr else kind


def _default(attribute: Any) -> Any:
    value = attribute.default_value
    kind = value.WhichOneof("value")
    if kind == "list":
        field = next((name for name in ("s", "i", "f", "b", "type") if getattr(value.list, name)), None)
        found = list(getattr(value.list, field)) if field else []
        return [_number_name(v) if field == "type" else v.decode() if field == "s" else v for v in found]
    if kind == "shape":
        return None if value.shape.unknown_rank else [dim.size for dim in value.shape.dim]
    if kind == "type":
        return _number_name(value.type)
    if kind == "s":
        return value.s.decode()
    if kind in ("i", "f", "b"):
        return getattr(value, kind)
    return None


def _facts(definition: Any) -> list[Any]:
    attributes = {
        attribute.name: [attribute.type, *([_default(attribute)] if attribute.HasField("default_value") else [])]
        for attribute in definition.attr
    }
    inputs = [f"{argument.name}: {_type(argument)}" for argument in definition.input_arg]
    outputs = [f"{argument.name}: {_type(argument)}" for argument in definition.output_arg]
    return [inputs, outputs, attributes, int(definition.is_stateful)]


def facts() -> dict[str, list[Any]]:
    """Return the facts of every op that is wanted: inputs, outputs, attributes and whether it has state."""
    session = import_module("tensorflow.python.client.pywrap_tf_session")
    op_list = import_module("tensorflow.core.framework.op_def_pb2").OpList
    every = op_list.FromString(session.TF_GetBuffer(session.TF_GetAllOpList())).op
    return {
        definition.name: _facts(definition)
        for definition in sorted(every, key=lambda each: each.name)
        if definition.name in _WANTED_ALL_THE_SAME
        or not (_LEFT_OUT.search(definition.name) or _DEFINES_TRAINING.search(definition.name))
    }


if __name__ == "__main__":
    lines = [f"{json.dumps(name)}: {json.dumps(fact, separators=(',', ':'))}" for name, fact in facts().items()]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    sys.stdout.write(f"{len(lines)} ops, {TARGET.stat().st_size:,} bytes\n")
