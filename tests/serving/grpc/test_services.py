"""What is no prediction: metadata, status, changes of what is served, health, reflection, and what is not there."""

import asyncio

import numpy as np
import pytest

from mainstay.core import NotFoundError, OverloadError, PermissionDeniedError, StorageError, message_class
from mainstay.serving.grpc.model_service import counter_of
from mainstay.serving.models.snapshot import Snapshot, State, VersionStatus
from mainstay.serving.operations.families import Family, Metrics
from mainstay.serving.status import Code

PREDICTION = "/tensorflow.serving.PredictionService"
MODELS = "/tensorflow.serving.ModelService"
PREDICT = f"{PREDICTION}/Predict"
HEALTH = "/grpc.health.v1.Health"


def status_request(name="m", version=None):
    made = message_class("tensorflow.serving.GetModelStatusRequest")()
    made.model_spec.name = name
    if version is not None:
        made.model_spec.version.value = version
    return made


def metadata_request(*fields, name="m"):
    made = message_class("tensorflow.serving.GetModelMetadataRequest")(metadata_field=fields)
    made.model_spec.name = name
    return made


def test_metadata_are_the_signatures_in_an_any(double):
    exchange = double.call(f"{PREDICTION}/GetModelMetadata", metadata_request("signature_def"))
    response = message_class("tensorflow.serving.GetModelMetadataResponse").FromString(exchange.sent[0])
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 7, "")
    packed = response.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = message_class("tensorflow.serving.SignatureDefMap").FromString(packed.value).signature_def
    assert set(signatures) == {"serving_default"}
    found = signatures["serving_default"].inputs["x"]
    assert (found.dtype, [axis.size for axis in found.tensor_shape.dim]) == (1, [-1, 3])
    assert signatures["serving_default"].method_name == "tensorflow/serving/predict"


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (b"", Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (metadata_request(), Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field"),
        (metadata_request("x"), Code.INVALID_ARGUMENT, "Metadata field x is not supported"),
        (metadata_request("signature_def", name="n"), Code.NOT_FOUND, "Servable not found for request: Latest(n)"),
        (metadata_request("signature_def", name=""), Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
    ],
)
def test_metadata_that_are_not_there_are_refused(double, request_, code, message):
    exchange = double.call(f"{PREDICTION}/GetModelMetadata", request_)
    assert (exchange.code, exchange.text) == (code, message)


def test_the_status_of_every_version_is_told_the_newest_first(double):
    statuses = {
        1: VersionStatus(State.END, Code.NOT_FOUND, "it is gone"),
        8: VersionStatus(State.START),
        9: VersionStatus(State.LOADING),
        5: VersionStatus(State.UNLOADING),
    }
    double.engine.snapshot = Snapshot(double.engine.snapshot.servables, {"m": statuses})
    exchange = double.call(f"{MODELS}/GetModelStatus", status_request())
    response = message_class("tensorflow.serving.GetModelStatusResponse").FromString(exchange.sent[0])
    found = [(one.version, one.state, one.status.error_code) for one in response.model_version_status]
    assert found == [(9, 20, 0), (8, 10, 0), (7, 30, 0), (5, 40, 0), (1, 50, 5)]
    assert response.model_version_status[-1].status.error_message == "it is gone"


def test_the_status_of_one_version_is_told(double):
    exchange = double.call(f"{MODELS}/GetModelStatus", status_request(version=7))
    response = message_class("tensorflow.serving.GetModelStatusResponse").FromString(exchange.sent[0])
    assert [(one.version, one.state) for one in response.model_version_status] == [(7, 30)]
    assert response.model_version_status[0].HasField("status")


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        (b"", Code.INVALID_ARGUMENT, "Missing ModelSpec"),
        (b"\xff", Code.INTERNAL, "the request cannot be read as tensorflow.serving.GetModelStatusRequest"),
        (status_request("n"), Code.NOT_FOUND, "Could not find any versions of model n"),
        (status_request("m", 3), Code.NOT_FOUND, "Could not find version 3 of model m"),
    ],
)
def test_the_status_of_what_is_not_there_is_refused(double, request_, code, message):
    exchange = double.call(f"{MODELS}/GetModelStatus", request_)
    assert (exchange.code, exchange.text) == (code, message)


def reload_request(*names, metrics=()):
    made = message_class("tensorflow.serving.ReloadConfigRequest")(metric_names=metrics)
    made.config.model_config_list.SetInParent()
    for name in names:
        made.config.model_config_list.config.add(name=name, base_path=f"/models/{name}")
    return made


def test_a_reload_answers_once_the_models_are_served(serve):
    seen, counts = [], {"loads": 3}

    async def reload(config):
        await asyncio.sleep(0)
        seen.extend(one.name for one in config.model_config_list.config)
        counts["loads"] += 2

    services = serve({}, reload=reload, counter=counts.get)
    exchange = services.call(f"{MODELS}/HandleReloadConfigRequest", reload_request("a", "b", metrics=["loads", "none"]))
    response = message_class("tensorflow.serving.ReloadConfigResponse").FromString(exchange.sent[0])
    assert seen == ["a", "b"]
    assert (response.HasField("status"), response.status.error_code) == (True, 0)
    assert [(one.name, one.int64_value_increase) for one in response.metric] == [("loads", 2)]


def test_counters_are_read_under_the_names_of_tensorflow():
    metrics = Metrics()
    family = Family(":tensorflow:serving:request_count", "counter", "Requests.", ("model_name", "status"))
    metrics.add(family, ("m", "OK"), 3)
    metrics.add(family, ("m", "NOT_FOUND"), 2)
    metrics.add(Family(":x", "gauge", "No counter."), (), 1)
    count = counter_of(lambda: metrics)
    assert (count("/tensorflow/serving/request_count"), count("/x"), count("/y")) == (5, None, None)


def test_a_reload_that_fails_says_why(serve):
    async def reload(config):
        raise StorageError("the folder cannot be read", where="/models/a")

    exchange = serve({}, reload=reload).call(f"{MODELS}/HandleReloadConfigRequest", reload_request("a"))
    assert exchange.code is Code.INTERNAL
    assert "the folder cannot be read" in exchange.text

    async def missing(config):
        raise NotFoundError("there is no such model")

    exchange = serve({}, reload=missing).call(f"{MODELS}/HandleReloadConfigRequest", reload_request("a"))
    assert (exchange.code, exchange.text) == (Code.NOT_FOUND, "there is no such model")


def test_a_reload_goes_on_when_the_client_goes_away(serve):
    done = []

    async def reload(config):
        await asyncio.sleep(0)
        done.append(True)

    services = serve({}, reload=reload)
    exchange = services.exchange(f"{MODELS}/HandleReloadConfigRequest", reload_request("a"))

    async def run():
        services.services.handle(exchange)
        exchange.on_cancel()
        for _ in range(5):
            await asyncio.sleep(0)

    services.loop.run_until_complete(run())
    assert (done, exchange.sent) == ([True], [])


def test_only_a_list_of_models_can_be_loaded(serve):
    async def reload(config):
        raise NotImplementedError

    exchange = serve({}, reload=reload).call(f"{MODELS}/HandleReloadConfigRequest", b"")
    assert (exchange.code, exchange.text) == (
        Code.INVALID_ARGUMENT,
        "ServerModelConfig type not supported by HandleReloadConfigRequest. "
        "Only ModelConfigList is currently supported",
    )
    assert serve({}).call(f"{MODELS}/HandleReloadConfigRequest", reload_request("a")).code is Code.UNIMPLEMENTED
    assert serve({}).call(f"{MODELS}/HandleReloadConfigRequest", b"\xff").code is Code.INTERNAL


def health_of(services, name=""):
    request = message_class("grpc.health.v1.HealthCheckRequest")(service=name)
    exchange = services.call(f"{HEALTH}/Check", request)
    if exchange.code is not Code.OK:
        return exchange.code
    return message_class("grpc.health.v1.HealthCheckResponse").FromString(exchange.sent[0]).status


@pytest.mark.parametrize(
    "name",
    [
        "",
        "PredictionService",
        "ModelService",
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
    ],
)
def test_services_are_healthy_until_the_server_stops(double, name):
    assert health_of(double, name) == 1
    double.engine.draining = True
    assert health_of(double, name) == 2


def test_gates_hold_for_health_and_reflection_too(double):
    class Gate:
        def check(self, call):
            raise PermissionDeniedError("not you")

    double.engine.gates = (Gate(),)
    assert health_of(double) is Code.PERMISSION_DENIED
    exchange = double.exchange("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    double.services.open(exchange)
    assert exchange.code is Code.PERMISSION_DENIED


def test_a_server_that_still_loads_takes_no_requests(double):
    double.engine.snapshot = Snapshot(ready=False)
    assert health_of(double) == 2


def test_the_health_of_what_is_not_there_is_unknown(double):
    assert health_of(double, "x") is Code.NOT_FOUND
    assert double.call(f"{HEALTH}/Check", b"\xff").code is Code.INTERNAL


def statuses(exchange):
    response = message_class("grpc.health.v1.HealthCheckResponse")
    return [response.FromString(message).status for message in exchange.sent]


def test_health_is_watched_until_the_server_stops(double, monkeypatch):
    monkeypatch.setattr("mainstay.serving.grpc.health._LOOK_SECONDS", 0)
    exchange = double.exchange(f"{HEALTH}/Watch", message_class("grpc.health.v1.HealthCheckRequest")())
    ready, loading = double.engine.snapshot, Snapshot(ready=False)

    async def run():
        double.services.handle(exchange)
        for snapshot in (ready, loading, ready):
            double.engine.snapshot = snapshot
            for _ in range(10):
                await asyncio.sleep(0)
        double.engine.draining = True
        await asyncio.wait_for(exchange.ended.wait(), 20)

    double.loop.run_until_complete(run())
    assert (statuses(exchange), exchange.code) == ([1, 2, 1, 2], Code.UNAVAILABLE)


def test_who_watches_and_goes_away_is_forgotten(double, monkeypatch):
    monkeypatch.setattr("mainstay.serving.grpc.health._LOOK_SECONDS", 0)
    request = message_class("grpc.health.v1.HealthCheckRequest")(service="x")
    exchange = double.exchange(f"{HEALTH}/Watch", request)

    async def run():
        double.services.handle(exchange)
        exchange.on_cancel()
        double.engine.draining = True
        for _ in range(10):
            await asyncio.sleep(0)

    double.loop.run_until_complete(run())
    assert (statuses(exchange), exchange.code) == ([3], None)


@pytest.fixture(params=["grpc.reflection.v1", "grpc.reflection.v1alpha"])
def reflect(request, double):
    """Answers requests of one version of the reflection service, over one call."""
    package = request.param
    exchange = double.exchange(f"/{package}.ServerReflection/ServerReflectionInfo")
    double.services.open(exchange)

    def ask(**asked):
        exchange.on_message(message_class(f"{package}.ServerReflectionRequest")(**asked).SerializeToString())
        return message_class(f"{package}.ServerReflectionResponse").FromString(exchange.sent[-1])

    ask.exchange = exchange
    return ask


def test_reflection_lists_the_services(reflect):
    response = reflect(host="here", list_services="*")
    assert response.valid_host == "here"
    assert response.original_request.list_services == "*"
    assert [one.name for one in response.list_services_response.service] == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService",
    ]


@pytest.mark.parametrize(
    "symbol",
    [
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.PredictionService.Predict",
        "tensorflow.serving.PredictRequest",
        "tensorflow.serving.PredictRequest.inputs",
        "tensorflow.DataType",
    ],
)
def test_reflection_gives_files_that_make_a_pool(reflect, symbol):
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool

    found = reflect(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto
    pool = DescriptorPool()
    for data in reversed(found):
        pool.Add(FileDescriptorProto.FromString(data))
    names = [FileDescriptorProto.FromString(data).name for data in found]
    assert len(set(names)) == len(names)
    assert pool.FindFileByName(names[0])
    again = reflect(file_by_filename=names[0]).file_descriptor_response.file_descriptor_proto
    assert list(again) == list(found)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"file_by_filename": "x.proto"}, 5),
        ({"file_containing_symbol": "x.Y"}, 5),
        ({"file_containing_symbol": "tensorflow.serving.PredictionService.Nothing"}, 5),
        ({"file_containing_symbol": ""}, 5),
        ({"all_extension_numbers_of_type": "x.Y"}, 5),
        ({"file_containing_extension": {"containing_type": "tensorflow.TensorProto", "extension_number": 1}}, 5),
        ({}, 3),
    ],
)
def test_reflection_says_what_is_not_there_and_goes_on(reflect, asked, code):
    assert reflect(**asked).error_response.error_code == code
    assert reflect(list_services="").list_services_response.service


def test_messages_here_have_no_extensions(reflect):
    found = reflect(all_extension_numbers_of_type="tensorflow.TensorProto").all_extension_numbers_response
    assert (found.base_type_name, list(found.extension_number)) == ("tensorflow.TensorProto", [])


def test_a_reflection_ends_when_the_client_has_nothing_more_to_ask(reflect):
    reflect.exchange.on_message(None)
    assert reflect.exchange.code is Code.OK


def test_a_reflection_request_that_cannot_be_read_ends_the_call(reflect):
    reflect.exchange.on_message(b"\xff")
    assert reflect.exchange.code is Code.INTERNAL


def test_profiles_are_politely_refused(double):
    exchange = double.call("/tensorflow.ProfilerService/Profile")
    assert exchange.code is Code.UNIMPLEMENTED
    assert "profile" in exchange.text


def test_a_method_that_is_not_there_is_refused(double):
    exchange = double.call("/x.Y/Z")
    assert (exchange.code, exchange.text) == (Code.UNIMPLEMENTED, "Method not found!")
    exchange = double.exchange("/x.Y/Z")
    double.services.open(exchange)
    assert exchange.code is Code.UNIMPLEMENTED


def test_a_method_that_fails_ends_its_call(double, caplog):
    def broken(exchange):
        raise ZeroDivisionError("broken")

    double.services.methods["/x.Y/Z"] = broken
    assert double.call("/x.Y/Z").text == "ZeroDivisionError: broken"


def test_the_paths_whose_clients_stream_are_known(double):
    assert double.services.streaming == {
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }


def test_a_stream_that_is_taken_out_of_the_table_is_none_any_more(double):
    del double.services.streams["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"]
    assert double.services.streaming == {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}


def test_who_is_refused_for_now_is_told_when_to_try_again(double, ask, monkeypatch):
    class Full:
        def check(self, call):
            error = OverloadError("too many")
            error.retry_after = 1.25
            raise error

    double.engine.gates = (Full(),)
    for path, message in ((PREDICT, ask("m", x=np.zeros((1, 3), np.float32))), (f"{HEALTH}/Check", b"")):
        exchange = double.call(path, message)
        assert (exchange.code, exchange.trailers) == (
            Code.RESOURCE_EXHAUSTED,
            (("grpc-retry-pushback-ms", "1250"),),
        )


def test_a_reload_whose_metrics_cannot_be_counted_is_answered(serve, caplog):
    async def reload(config):
        pass

    services = serve({}, reload=reload, counter=lambda name: 1 // 0)
    request = message_class("tensorflow.serving.ReloadConfigRequest")(metric_names=["a"])
    request.config.model_config_list.SetInParent()
    assert services.call("/tensorflow.serving.ModelService/HandleReloadConfigRequest", request).code is Code.INTERNAL
    assert [call.code for call in services.watcher.ended_calls] == [Code.INTERNAL]
