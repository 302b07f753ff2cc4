"""Calls an echo server by grpcio; prints by case what went wrong, as JSON: ``grpcio_client.py PORT [CERTIFICATE]``."""

import json
import sys
import threading
import traceback

import grpc

LARGE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def channel(port, certificate, **more):
    options = LARGE + list(more.pop("options", ()))
    if certificate is None:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options, **more)
    with open(certificate, "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(f"localhost:{port}", credentials, options, **more)


def failure(call, *arguments, **more):
    """Return how a call fails."""
    try:
        call(*arguments, **more)
    except grpc.RpcError as error:
        return error
    raise AssertionError("it was answered")


def check_messages_of_all_sizes(open_channel):
    echo = open_channel().unary_unary("/test.Echo/Echo")
    for size in (0, 1, 5, 4096, 16_384, 65_536, 300_000, 5_000_000, 30_000_000):
        message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert echo(message, timeout=60) == message, size


def check_many_calls_at_once(open_channel):
    echo = open_channel().unary_unary("/test.Echo/Echo")
    for count in (10, 300, 1200):
        calls = [(number, echo.future(b"%d" % number * (number % 900), timeout=60)) for number in range(count)]
        assert all(call.result() == b"%d" % number * (number % 900) for number, call in calls)


def check_many_large_calls_at_once(open_channel):
    echo = open_channel().unary_unary("/test.Echo/Echo")
    calls = [(number, echo.future(bytes([number]) * 1_000_000, timeout=60)) for number in range(40)]
    assert all(call.result() == bytes([number]) * 1_000_000 for number, call in calls)


def check_calls_from_many_threads_with_deadlines(open_channel):
    echo, wrong = open_channel().unary_unary("/test.Echo/Echo"), []

    def call(seed):
        for number in range(60):
            message = b"%d-%d" % (seed, number)
            if echo(message, timeout=30 + number / 7) != message:
                wrong.append(message)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def check_compressed_requests(open_channel):
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        echo = open_channel(compression=compression).unary_unary("/test.Echo/Echo")
        for message in (b"", b"x" * 100_000, bytes(2_000_000)):
            assert echo(message, timeout=30) == message


def check_a_deadline(open_channel):
    never = open_channel().unary_unary("/test.Echo/Never")
    error = failure(never, b"x", timeout=0.2)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED, error


def check_a_call_that_is_cancelled(open_channel):
    opened = open_channel()
    count = opened.unary_unary("/test.Echo/Cancelled")
    before = int(count(b"", timeout=30))
    call = opened.unary_unary("/test.Echo/Never").future(b"x")
    opened.unary_unary("/test.Echo/Echo")(b"x", timeout=30)
    call.cancel()
    for _ in range(500):
        if int(count(b"", timeout=30)) > before:
            return
    raise AssertionError("the server was not told")


def check_a_status_with_any_message(open_channel):
    refuse = open_channel().unary_unary("/test.Echo/Refuse")
    for message in ("no", "größer 100 % \n\t ☃", "x" * 5000, " around "):
        error = failure(refuse, message.encode(), timeout=30)
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION, error
        assert error.details() == message, error.details()
        assert ("x-more", "value") in [tuple(each) for each in error.trailing_metadata()]


def check_metadata(open_channel):
    echo = open_channel().unary_unary("/test.Echo/Metadata")
    metadata = [("key", "a"), ("key", "b"), ("some-bin", b"\0\xff"), ("long", "y" * 3000)]
    told = json.loads(echo(b"", timeout=30, metadata=metadata))
    assert told["key"] == "a,b", told
    assert told["long"] == "y" * 3000
    assert told["some-bin"].rstrip("=") == "AP8", told["some-bin"]


def check_too_much_metadata(open_channel):
    echo = open_channel().unary_unary("/test.Echo/Echo")
    error = failure(echo, b"", timeout=30, metadata=[("long", "y" * 30_000)])
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert echo(b"x", timeout=30) == b"x"


def check_a_message_that_is_too_large(open_channel):
    echo = open_channel().unary_unary("/test.Echo/Echo")
    error = failure(echo, bytes(41_000_000), timeout=60)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert error.details() == "SERVER: Received message larger than max (41000000 vs. 40000000)", error.details()
    assert echo(b"x", timeout=30) == b"x"


def check_streams(open_channel):
    stream = open_channel().stream_stream("/test.Echo/Stream")
    messages = [b"%d" % number * number for number in range(300)]
    assert list(stream(iter(messages), timeout=30)) == messages
    large = [bytes([number]) * 500_000 for number in range(20)]
    assert list(stream(iter(large), timeout=30)) == large
    assert list(stream(iter([]), timeout=30)) == []


def check_a_stream_of_answers_that_is_left(open_channel):
    answers = open_channel().unary_stream("/test.Echo/Endless")(b"x", timeout=30)
    assert next(answers) == b"x"
    answers.cancel()


def check_an_unknown_method(open_channel):
    error = failure(open_channel().unary_unary("/no/such"), b"", timeout=30)
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED, error


def check_a_client_that_takes_little_metadata_and_has_no_table(open_channel):
    options = [("grpc.http2.hpack_table_size.decoder", 0), ("grpc.http2.lookahead_bytes", 16_384)]
    echo = open_channel(options=options).unary_unary("/test.Echo/Echo")
    for number in range(20):
        assert echo(b"%d" % number, timeout=30) == b"%d" % number


def main():
    port, certificate = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    found, channels = {}, []

    def open_channel(**more):
        channels.append(channel(port, certificate, **more))
        return channels[-1]

    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            try:
                check(open_channel)
                found[name] = ""
            except Exception:
                found[name] = traceback.format_exc()
    for opened in channels:
        opened.close()
    print(json.dumps(found))


main()
