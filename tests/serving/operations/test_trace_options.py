"""Where traces go."""

import pytest

from mainstay.core import ArgumentError
from mainstay.serving.operations.trace_options import TraceOptions, traces_from_environment

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def test_the_variables_of_opentelemetry_are_read():
    options = traces_from_environment(
        {
            ENDPOINT: "https://collector:4318/",
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b, x=y=z",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
            "OTEL_SERVICE_NAME": "taxi",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=prod,service.name=loses",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.25",
        }
    )
    assert options == TraceOptions(
        endpoint="https://collector:4318/v1/traces",
        service="taxi",
        sampler="parentbased_traceidratio",
        ratio=0.25,
        headers={"api-key": "a b", "x": "y=z"},
        attributes={"deployment.environment": "prod"},
        timeout_seconds=2.5,
    )


def test_the_variables_for_traces_go_before_those_for_everything():
    options = traces_from_environment(
        {
            ENDPOINT: "http://one:1",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://two:2/custom",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=1",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=2",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "1000",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=named",
        }
    )
    assert (options.endpoint, options.headers, options.timeout_seconds) == ("http://two:2/custom", {"b": "2"}, 1.0)
    assert options.service == "named"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {ENDPOINT: "  "},
        {ENDPOINT: "http://a:1", "OTEL_SDK_DISABLED": "true"},
        {ENDPOINT: "http://a:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_a_collector_nothing_is_traced(environment):
    assert traces_from_environment(environment) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (ENDPOINT, "collector:4318"),
        (ENDPOINT, "ftp://a"),
        (ENDPOINT, "http://"),
        (ENDPOINT, "http://a:99999"),
        (ENDPOINT, "http://[::1"),
        (ENDPOINT, "http://a b"),
        (ENDPOINT, "http://a/\r\nx: y"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "much"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "inf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "=x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%0d%0ab"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a"),
    ],
)
def test_a_wrong_variable_is_refused(name, value):
    with pytest.raises(ArgumentError):
        traces_from_environment({ENDPOINT: "http://a:1", name: value})
