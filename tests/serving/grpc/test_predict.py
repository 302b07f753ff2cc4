import asyncio
from dataclasses import replace

import numpy as np
import pytest

from mainstay.core import message_class
from mainstay.serving.status import Code

PREDICT = "/tensorflow.serving.PredictionService/Predict"
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def floats(response, name="y"):
    proto = response.outputs[name]
    shape = [axis.size for axis in proto.tensor_shape.dim]
    return np.array(proto.float_val, np.float32).reshape(shape)


@pytest.mark.parametrize("content", [True, False])
def test_a_request_is_answered_the_same_in_full_and_from_a_template(double, ask, content):
    request = ask("m", x=ROWS, content=content)
    answers = [double.predict(request) for _ in range(3)]
    assert all(answer == answers[0] for answer in answers)
    np.testing.assert_array_equal(floats(answers[0]), ROWS * 2)


def test_a_template_takes_the_numbers_of_the_request_itself(double, ask):
    double.predict(ask("m", x=ROWS))
    for factor in (1, -3, np.nan):
        np.testing.assert_array_equal(floats(double.predict(ask("m", x=ROWS * factor))), ROWS * factor * 2)


def test_the_response_says_which_model_version_and_signature_answered(double, ask):
    spec = double.predict(ask("m", x=ROWS)).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 7, "serving_default")


def test_version_and_label_choose_the_version(serve, fakes, ask):
    def model(factor):
        body = lambda x: {"y": np.asarray(x * np.float32(factor), np.float32)}  # noqa: E731
        return fakes.Model(
            serving_default=fakes.Signature([fakes.spec("x", "float32", 3)], [fakes.spec("y", "float32", 3)], body)
        )

    services = serve({"m": {1: model(1), 2: model(2)}}, labels={"m": {"old": 1}})
    for _ in range(2):  # the second time from templates
        for how, factor in (({}, 2), ({"version": 1}, 1), ({"label": "old"}, 1), ({"version": 2}, 2)):
            np.testing.assert_array_equal(floats(services.predict(ask("m", x=ROWS, **how))), ROWS * factor)


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ({"model": ""}, Code.INVALID_ARGUMENT, "ModelSpec has no name specified."),
        ({"model": "n"}, Code.NOT_FOUND, "Servable not found for request: Latest(n)"),
        ({"version": 3}, Code.NOT_FOUND, "Servable not found for request: Specific(m, 3)"),
        ({"label": "x"}, Code.INVALID_ARGUMENT, "Unrecognized servable version label: x"),
        ({"signature": "s"}, Code.FAILED_PRECONDITION, 'Serving signature key "s" not found.'),
        (
            {"outputs": ["z"]},
            Code.INVALID_ARGUMENT,
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
        ({"outputs": ["y", "y"]}, Code.INVALID_ARGUMENT, "duplicate output tensor alias: y"),
    ],
)
def test_what_is_not_there_is_refused_in_the_words_of_tf_serving(double, ask, how, code, message):
    model = how.pop("model", "m")
    for _ in range(2):
        exchange = double.call(PREDICT, ask(model, x=ROWS, **how))
        assert (exchange.code, exchange.text) == (code, message)


def test_a_request_without_a_model_spec_is_refused(double):
    exchange = double.call(PREDICT, b"")
    assert (exchange.code, exchange.text) == (Code.INVALID_ARGUMENT, "Missing ModelSpec")


def test_bytes_that_are_no_request_are_refused(double):
    exchange = double.call(PREDICT, b"\xff\xff\xff")
    assert exchange.code is Code.INTERNAL
    assert "PredictRequest" in exchange.text


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"x": ROWS, "z": ROWS},
            "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. "
            "Missing but required: {}.",
        ),
        (
            {},
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
        ),
        (
            {"z": ROWS},
            "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value "
            "provided. Inputs expected to be in the request {z}, or default input alias set: ",
        ),
        (
            {"x": ROWS.astype(np.float64)},
            "Expects arg[0] to be float but double is provided; $.inputs.x: expected float32 of shape [3], "
            "received double",
        ),
        (
            {"x": np.array([["a", "b", "c"]])},
            "Expects arg[0] to be float but string is provided; $.inputs.x: expected float32 of shape [3], "
            "received string",
        ),
        (
            {"x": ROWS[:, :2]},
            "an input has the wrong shape; $.inputs.x: expected float32 of shape [batch, 3], received shape [2, 2]",
        ),
        (
            {"x": np.float32(1)},
            "an input has the wrong shape; $.inputs.x: expected float32 of shape [batch, 3], received shape []",
        ),
        ({"x": ROWS[:0]}, "an input has no rows; $.inputs.x: expected at least one row"),
    ],
)
def test_wrong_inputs_are_refused(double, ask, inputs, message):
    for _ in range(2):
        exchange = double.call(PREDICT, ask("m", **inputs))
        assert (exchange.code, exchange.text) == (Code.INVALID_ARGUMENT, message)


def test_an_unsupported_dtype_is_refused_by_its_name(double, ask):
    request = ask("m", x=ROWS)
    request.inputs["x"].dtype = 8
    assert "Expects arg[0] to be float but complex64 is provided" in double.call(PREDICT, request).text


def test_several_inputs_come_in_any_order(serve, fakes, ask):
    signature = fakes.Signature(
        [fakes.spec("a"), fakes.spec("b", "int64")],
        [fakes.spec("d")],
        lambda a, b: {"d": np.asarray(a - b, np.float32)},
    )
    services = serve({"m": {1: fakes.Model(serving_default=signature)}})
    a, b = np.array([5, 7], np.float32), np.array([1, 2], np.int64)
    for inputs in ({"a": a, "b": b}, {"b": b, "a": a}):
        for content in (True, False):
            for _ in range(2):
                response = services.predict(ask("m", content=content, **inputs))
                np.testing.assert_array_equal(floats(response, "d"), [4, 5])


def test_strings_go_in_and_come_out(serve, fakes, ask):
    signature = fakes.Signature(
        [fakes.spec("s", "string")],
        [fakes.spec("t", "string")],
        lambda s: {"t": np.array([b"<" + v + b">" for v in s.tolist()], object)},
    )
    services = serve({"m": {1: fakes.Model(serving_default=signature)}})
    response = services.predict(ask("m", s=np.array(["a", "bc", ""])))
    assert list(response.outputs["t"].string_val) == [b"<a>", b"<bc>", b"<>"]


def test_an_optional_input_may_be_left_out(serve, fakes, ask):
    seen = []

    def body(x, optional):
        return {"y": x}

    signature = fakes.Signature([fakes.spec("x"), fakes.spec("optional_z")], [fakes.spec("y")], body)
    run = signature.run
    signature.run = lambda columns: seen.append(columns[1].missing) or run(columns)
    services = serve({"m": {1: fakes.Model(serving_default=signature)}})
    x = np.array([1, 2], np.float32)
    seen.clear()
    for _ in range(2):
        np.testing.assert_array_equal(floats(services.predict(ask("m", x=x))), x)
    assert [list(missing) for missing in seen] == [[True, True]] * 2


def test_an_input_that_the_signature_has_a_value_for_may_be_left_out(serve, fakes, ask):
    signature = fakes.Signature([fakes.spec("x"), fakes.spec("z")], [fakes.spec("y")], lambda x, z: {"y": x + z})
    services = serve({"m": {1: fakes.Model(serving_default=signature)}})
    servable = services.engine.snapshot.find("m")
    definition = message_class("tensorflow.SignatureDef")()
    definition.defaults["z"].CopyFrom(ask("m", z=np.array([5, 6], np.float32)).inputs["z"])
    servable.default_endpoint = replace(servable.default_endpoint, definition=definition)
    x = np.array([1, 2], np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(floats(services.predict(ask("m", x=x))), [6, 8])
        np.testing.assert_array_equal(floats(services.predict(ask("m", x=x, z=x))), [2, 4])
    text = services.call(PREDICT, ask("m", z=x)).text
    assert text.startswith("Signature input alias: x(feed name: serving_default_x:0) not found in request")
    assert text.endswith("or default input alias set: z")


def test_only_the_outputs_that_are_asked_for_are_sent(serve, fakes, ask):
    outputs = [fakes.spec(name) for name in "abc"]
    signature = fakes.Signature([fakes.spec("x")], outputs, lambda x: {"a": x, "b": x * 2, "c": x * 3})
    services = serve({"m": {1: fakes.Model(serving_default=signature)}})
    x = np.array([1, 2], np.float32)
    for _ in range(2):
        assert set(services.predict(ask("m", x=x)).outputs) == {"a", "b", "c"}
        response = services.predict(ask("m", x=x, outputs=["c", "a"]))
        assert set(response.outputs) == {"a", "c"}
        np.testing.assert_array_equal(floats(response, "c"), x * 3)


def test_numbers_go_into_tensor_content_where_asked_to(serve, fakes, ask):
    signature = fakes.Signature([fakes.spec("x")], [fakes.spec("y")], lambda x: {"y": x})
    services = serve({"m": {1: fakes.Model(serving_default=signature)}}, content=True)
    for _ in range(2):
        proto = services.predict(ask("m", x=np.array([1, 2], np.float32))).outputs["y"]
        assert (list(proto.float_val), np.frombuffer(proto.tensor_content, np.float32).tolist()) == ([], [1, 2])


def test_rows_of_requests_that_come_together_run_together(double, ask):
    signature = double.engine.snapshot.find("m").endpoints["serving_default"]
    assert signature.batched
    exchanges = double.calls([(PREDICT, ask("m", x=ROWS + index), {}) for index in range(4)])
    response = message_class("tensorflow.serving.PredictResponse")
    for index, exchange in enumerate(exchanges):
        np.testing.assert_array_equal(floats(response.FromString(exchange.sent[0])), (ROWS + index) * 2)
    assert {call.run.rows for call in double.watcher.ended_calls} == {8}


def test_observers_see_each_call_begin_and_end(double, ask):
    request = ask("m", x=ROWS).SerializeToString()
    answer = double.call(PREDICT, request, headers={b"x-mainstay-criticality": b"sheddable"}).sent[0]
    double.call(PREDICT, ask("n", x=ROWS))
    good, bad = double.watcher.ended_calls
    assert double.watcher.begun_calls == [good, bad]
    assert (good.api, good.method, good.model, good.signature) == ("gRPC", "Predict", "m", "serving_default")
    assert (good.rows, good.code, good.priority, good.peer) == (2, Code.OK, 3, "10.0.0.1:5")
    assert (good.request_bytes, good.response_bytes) == (len(request), len(answer))
    assert (bad.code, bad.message) == (Code.NOT_FOUND, "Servable not found for request: Latest(n)")
    assert double.engine.snapshot.find("m").users == 0


def test_a_client_that_says_who_it_is_can_be_kept_with_one_version(double, ask):
    request = ask("m", x=ROWS)
    request.client_id = b"ann"
    for headers, client in (({}, b"ann"), ({b"x-mainstay-session": b"bob"}, b"bob")):
        for _ in range(2):
            double.call(PREDICT, request, headers=headers)
            assert double.watcher.ended_calls[-1].headers[b"x-mainstay-session"] == client


def test_method_names_are_looked_at_where_asked_to(serve, fakes, ask):
    signature = fakes.Signature([fakes.spec("x")], [fakes.spec("y")], lambda x: {"y": x}, method="odd")
    model = fakes.Model(serving_default=signature)
    x = np.ones(1, np.float32)
    assert serve({"m": {1: model}}).call(PREDICT, ask("m", x=x)).code is Code.OK
    exchange = serve({"m": {1: model}}, check_method_names=True).call(PREDICT, ask("m", x=x))
    assert exchange.code is Code.INTERNAL
    assert exchange.text.startswith("Expected prediction signature method_name to be one of {tensorflow/serving/")


def test_an_unknown_criticality_is_refused(double, ask):
    exchange = double.call(PREDICT, ask("m", x=ROWS), headers={b"x-mainstay-criticality": b"much"})
    assert exchange.code is Code.INVALID_ARGUMENT
    assert len(double.watcher.begun_calls) == len(double.watcher.ended_calls) == 1


def test_a_gate_refuses_a_call(double, ask):
    from mainstay.core import PermissionDeniedError

    class Gate:
        def check(self, call):
            raise PermissionDeniedError("not you")

    double.engine.gates = (Gate(),)
    exchange = double.call(PREDICT, ask("m", x=ROWS))
    assert (exchange.code, exchange.text) == (Code.PERMISSION_DENIED, "not you")


def test_a_call_whose_time_is_over_is_refused(double, ask):
    exchange = double.call(PREDICT, ask("m", x=ROWS), deadline=double.loop.time() - 1)
    assert exchange.code is Code.DEADLINE_EXCEEDED


def cancel_at_once(services, request, **how):
    exchange = services.exchange(PREDICT, request, **how)

    async def run():
        services.services.handle(exchange)
        exchange.on_cancel()
        for _ in range(5):
            await asyncio.sleep(0)

    services.loop.run_until_complete(run())
    return exchange, services.watcher.ended_calls[-1]


def test_rows_of_a_client_that_went_away_never_run(double, ask):
    exchange, call = cancel_at_once(double, ask("m", x=ROWS))
    assert (exchange.code, exchange.sent, call.code, call.run) == (None, [], Code.CANCELLED, None)


def test_a_call_given_up_at_its_deadline_is_counted_as_such(double, ask):
    times = iter([0.0, 1e9])
    double.engine.time = lambda: next(times, 1e9)
    _, call = cancel_at_once(double, ask("m", x=ROWS), deadline=double.loop.time() + 1000)
    assert (call.code, call.message) == (Code.DEADLINE_EXCEEDED, "Deadline Exceeded")


def test_a_model_that_fails_gives_an_internal_error(serve, fakes, ask, caplog):
    def broken(x):
        raise ZeroDivisionError("broken")

    signature = fakes.Signature([fakes.spec("x")], [fakes.spec("y")], broken)
    services = serve({"m": {1: fakes.Model(serving_default=signature)}})
    exchange = services.call(PREDICT, ask("m", x=np.ones(1, np.float32)))
    assert (exchange.code, exchange.text) == (Code.INTERNAL, "ZeroDivisionError: broken")


def test_a_signature_without_rows_takes_whole_tensors(serve, fakes, ask):
    signature = fakes.Signature(
        [fakes.spec("x", "float32", 2)], [fakes.spec("y")], lambda x: {"y": x.sum(keepdims=True)[0]}, rows=False
    )
    services = serve({"m": {1: fakes.Model(serving_default=signature)}})
    for _ in range(2):
        np.testing.assert_array_equal(floats(services.predict(ask("m", x=np.ones((2, 2), np.float32)))), [4])
    assert set(signature.batches) == {"whole"}


def test_versions_that_go_take_what_was_worked_out_for_them_along(double, ask):
    import gc
    import weakref

    class Anchor:
        pass

    double.predict(ask("m", x=ROWS))
    double.predict(ask("m", x=ROWS))
    endpoint = double.engine.snapshot.find("m").endpoints["serving_default"]
    anchor = Anchor()
    endpoint.memo["anchor"] = anchor
    gone = weakref.ref(anchor)
    double.watcher.begun_calls.clear()
    double.watcher.ended_calls.clear()
    del endpoint, anchor
    double.engine.snapshot = type(double.engine.snapshot)()
    gc.collect()
    assert gone() is None
