"""All gRPC services of TF Serving, health and reflection, ready to answer."""

from __future__ import annotations

from mainstay.serving.engine import Engine
from mainstay.serving.examples import CLASSIFY_METHOD, REGRESS_METHOD
from mainstay.serving.grpc.example_methods import ExampleMethod, MultiInferenceMethod
from mainstay.serving.grpc.exchange import GrpcExchange
from mainstay.serving.grpc.health import HealthService
from mainstay.serving.grpc.interface import GrpcServices
from mainstay.serving.grpc.metadata import MetadataMethod
from mainstay.serving.grpc.model_service import Counter, ModelService, Reload
from mainstay.serving.grpc.predict import PredictMethod
from mainstay.serving.grpc.reflection import ReflectionService
from mainstay.serving.status import Code

_PREDICTION = "/tensorflow.serving.PredictionService"
_MODELS = "/tensorflow.serving.ModelService"
_PROFILER = "/tensorflow.ProfilerService"
_SHORT_NAMES = frozenset({"ModelService", "PredictionService"})
"""What TF Serving calls its services when they are asked about their health."""


def grpc_services(
    engine: Engine,
    *,
    content: bool = False,
    check_method_names: bool = False,
    reload: Reload | None = None,
    counter: Counter | None = None,
) -> GrpcServices:
    """Return the gRPC services of a server; more may be added to their tables.

    Args:
        engine: What runs calls.
        content: Whether numbers of responses go into ``tensor_content`` instead of the field of their dtype, as with
            TF Serving's ``--enable_serialization_as_tensor_content``.
        check_method_names: Whether Classify and Regress call only signatures whose `method_name` is theirs, as with
            ``--enable_signature_method_name_check``.
        reload: Changes what is served; None where nothing can.
        counter: Reads metrics for who reloads.
    """
    services = GrpcServices(engine)
    methods = services.methods
    methods[f"{_PREDICTION}/Predict"] = PredictMethod(engine, content=content, check_method_names=check_method_names)
    for name, method in (("Classify", CLASSIFY_METHOD), ("Regress", REGRESS_METHOD)):
        methods[f"{_PREDICTION}/{name}"] = ExampleMethod(engine, method, check_method_names=check_method_names)
    methods[f"{_PREDICTION}/MultiInference"] = MultiInferenceMethod(engine, check_method_names=check_method_names)
    methods[f"{_PREDICTION}/GetModelMetadata"] = MetadataMethod(engine)
    models = ModelService(engine, reload=reload, counter=counter)
    methods[f"{_MODELS}/GetModelStatus"] = models.get_model_status
    methods[f"{_MODELS}/HandleReloadConfigRequest"] = models.handle_reload_config_request

    def names() -> frozenset[str]:
        return frozenset(path[1:].partition("/")[0] for path in (*services.methods, *services.streams))

    health = HealthService(engine, lambda: names() | _SHORT_NAMES)
    methods["/grpc.health.v1.Health/Check"] = health.check
    methods["/grpc.health.v1.Health/Watch"] = health.watch
    for name in ("Check", "Watch"):
        services.admit(f"/grpc.health.v1.Health/{name}", "Health")

    def known() -> frozenset[str]:
        return names() - {_PROFILER[1:]}

    for package in ("grpc.reflection.v1", "grpc.reflection.v1alpha"):
        reflection = ReflectionService(package, known)
        path = f"/{package}.ServerReflection/ServerReflectionInfo"
        services.add_stream(path, reflection.open)
        services.admit(path, "ServerReflectionInfo")
    for method in ("Profile", "Terminate", "Monitor"):
        methods[f"{_PROFILER}/{method}"] = _refuse_profile
    return services


def _refuse_profile(exchange: GrpcExchange) -> None:
    exchange.finish(
        Code.UNIMPLEMENTED, "this server does not profile for TensorBoard; its metrics and traces tell where time goes"
    )
