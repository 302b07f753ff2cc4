"""Speaks HTTP/2 with an echo server by the `h2` package, which checks all that it receives: ``h2_client.py PORT``."""

import json
import socket
import sys
import traceback

import h2.config
import h2.connection
import h2.events
import h2.settings

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/test.Echo/Echo"),
    (":authority", "test"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


class Client:
    def __init__(self, port, **settings):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        if settings:
            values = {getattr(h2.settings.SettingCodes, name): value for name, value in settings.items()}
            self.connection.local_settings = h2.settings.Settings(client=True, initial_values=values)
            self.connection.max_inbound_frame_size = self.connection.local_settings.max_frame_size
        self.connection.initiate_connection()
        self.data, self.ends, self.events = {}, {}, []
        self.acknowledge = True
        self.flush()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def begin(self, message, headers=HEADERS):
        number = self.connection.get_next_available_stream_id()
        self.connection.send_headers(number, headers)
        self.send(number, b"\0" + len(message).to_bytes(4, "big") + message)
        return number

    def send(self, number, data):
        while True:
            room = min(self.connection.local_flow_control_window(number), self.connection.max_outbound_frame_size)
            if room > 0:
                self.connection.send_data(number, data[:room], end_stream=len(data) <= room)
                data = data[room:]
                self.flush()
                if not data:
                    return
            else:
                self.receive()

    def receive(self):
        received = self.socket.recv(65536)
        if not received:
            raise EOFError("the server closed the connection")
        for event in self.connection.receive_data(received):
            self.events.append(event)
            if isinstance(event, h2.events.DataReceived):
                self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
                if self.acknowledge:
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived | h2.events.ResponseReceived):
                if b"grpc-status" in dict(event.headers):
                    self.ends[event.stream_id] = dict(event.headers)
            elif isinstance(event, h2.events.StreamReset):
                self.ends.setdefault(event.stream_id, event.error_code)
        self.flush()

    def wait(self, number):
        while number not in self.ends:
            self.receive()
        return self.data.get(number, b"")[5:], self.ends[number]


def check_calls(port):
    client = Client(port)
    for size in (0, 10, 70_000, 1_000_000):
        assert client.wait(client.begin(b"a" * size)) == (b"a" * size, {b"grpc-status": b"0"})


def check_calls_that_overlap(port):
    client = Client(port)
    numbers = [client.begin(bytes([place]) * place * 999) for place in range(60)]
    for place, number in enumerate(numbers):
        assert client.wait(number)[0] == bytes([place]) * place * 999


def check_small_windows_and_frames(port):
    client = Client(port, INITIAL_WINDOW_SIZE=7, HEADER_TABLE_SIZE=0)
    numbers = [client.begin(bytes([place]) * 300) for place in range(5)]
    for place, number in enumerate(numbers):
        assert client.wait(number)[0] == bytes([place]) * 300
    client = Client(port, INITIAL_WINDOW_SIZE=2**31 - 1, MAX_FRAME_SIZE=2**24 - 1, HEADER_TABLE_SIZE=100_000)
    for _ in range(3):
        assert client.wait(client.begin(bytes(2_000_000)))[0] == bytes(2_000_000)


def check_a_table_that_shrinks_and_grows(port):
    client = Client(port)
    for size in (4096, 0, 4096, 50, 110, 4096):
        client.connection.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: size})
        client.flush()
        assert client.wait(client.begin(b"x")) == (b"x", {b"grpc-status": b"0"})


def check_pings(port):
    client = Client(port)
    client.connection.ping(b"12345678")
    client.flush()
    while not any(isinstance(event, h2.events.PingAckReceived) for event in client.events):
        client.receive()


def check_refusals(port):
    client = Client(port)
    for change, status in (("te", b"2"), ("content-type", None)):
        number = client.begin(b"x", [pair for pair in HEADERS if pair[0] != change])
        end = client.wait(number)[1]
        assert end[b":status"] == (b"200" if status else b"415"), end
        assert status is None or end[b"grpc-status"] == status
    assert client.wait(client.begin(b"x"))[0] == b"x"


def check_trailers_of_the_client(port):
    client = Client(port)
    number = client.connection.get_next_available_stream_id()
    client.connection.send_headers(number, HEADERS)
    client.connection.send_data(number, b"\0\0\0\0\1x", pad_length=50)
    client.connection.send_headers(number, [("x-sum", "1")], end_stream=True)
    client.flush()
    assert client.wait(number)[0] == b"x"


def check_streams_that_are_reset(port):
    client = Client(port)
    numbers = [client.begin(b"x" * 50_000) for _ in range(20)]
    for number in numbers[::2]:
        client.connection.reset_stream(number)
    client.flush()
    for number in numbers[1::2]:
        assert client.wait(number)[0] == b"x" * 50_000


def main():
    found = {}
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            try:
                check(int(sys.argv[1]))
                found[name] = ""
            except Exception:
                found[name] = traceback.format_exc()
    print(json.dumps(found))


main()
