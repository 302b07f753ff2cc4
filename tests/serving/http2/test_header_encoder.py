import hpack
from hypothesis import given
from hypothesis import strategies as st

from mainstay.serving.http2 import frames
from mainstay.serving.http2.header_encoder import HeaderEncoder

HEAD = [(":status", "200"), ("content-type", "application/grpc")]
OK = [("grpc-status", "0")]
ERROR = [("grpc-status", "5"), ("grpc-message", "no" * 200)]
STEPS = st.sampled_from(("head", "ok", "error", 0, 50, 103, 104, 300, 4096, 1 << 30))


@given(st.lists(STEPS, max_size=40))
def test_another_implementation_reads_every_block_in_any_order(steps):
    encoder, decoder = HeaderEncoder(), hpack.Decoder()
    for step in steps:
        if isinstance(step, int):
            encoder.resize(step)
            decoder.max_allowed_table_size = min(step, 4096)
            continue
        block = {"head": encoder.head, "ok": encoder.ok}.get(
            step, lambda: encoder.fields((name.encode(), value.encode()) for name, value in ERROR)
        )()
        assert [tuple(field) for field in decoder.decode(block)] == {"head": HEAD, "ok": OK, "error": ERROR}[step]
        if encoder.settled:
            answer, trailers = encoder.answer(7, 100), encoder.trailers(7)
            word, flags, number = frames.FRAME_HEAD.unpack_from(answer)
            size = word >> 8
            assert (word & 255, flags, number) == (frames.HEADERS, frames.END_HEADERS, 7)
            assert [tuple(field) for field in decoder.decode(answer[9 : 9 + size])] == HEAD
            assert answer[9 + size :] == frames.FRAME_HEAD.pack(105 << 8, 0, 7) + b"\0\0\0\0\x64"
            assert frames.FRAME_HEAD.unpack_from(trailers)[1:] == (frames.END_HEADERS | frames.END_STREAM, 7)
            assert [tuple(field) for field in decoder.decode(trailers[9:])] == OK


def test_the_usual_answer_takes_three_bytes_of_fields():
    encoder = HeaderEncoder()
    encoder.head(), encoder.ok()
    assert encoder.settled
    assert len(encoder.answer(1, 0)) + len(encoder.trailers(1)) == 3 * 9 + 3 + 5


def test_long_blocks_are_cut_into_frames():
    data = frames.headers(3, bytes(range(250)), end_stream=True, most=100)
    kinds = []
    block = b""
    while data:
        word, flags, number = frames.FRAME_HEAD.unpack_from(data)
        kinds.append((word & 255, flags, number))
        block += data[9 : 9 + (word >> 8)]
        data = data[9 + (word >> 8) :]
    assert kinds == [(frames.HEADERS, 1, 3), (frames.CONTINUATION, 0, 3), (frames.CONTINUATION, frames.END_HEADERS, 3)]
    assert block == bytes(range(250))
