"""Runs in a process with TensorFlow and grpcio: calls a server over TLS and reads its request log.

Arguments: the port, the folder with certificates and logs, a token. Prints what it found as JSON.
"""

import json
import sys
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2, prediction_service_pb2_grpc


def call(port, folder, token, *, client=""):
    """Return the outputs, or the status that a call ends with."""
    files = [(folder / f"{client}.{end}").read_bytes() for end in ("key", "crt")] if client else (None, None)
    credentials = grpc.ssl_channel_credentials((folder / "authority.crt").read_bytes(), *files)
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "m"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0, 2.0], tf.float32))
        metadata = [("authorization", f"Bearer {token}")] if token else []
        try:
            response = stub.Predict(request, timeout=20, metadata=metadata)
        except grpc.RpcError as error:
            return error.code().name
        return tf.make_ndarray(response.outputs["total"]).tolist()


def logged(folder):
    """Return the inputs and outputs of the requests in the log."""
    found = []
    for path in sorted(folder.glob("log-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            predict = log.predict_log
            values = predict.request.inputs["x"], predict.response.outputs["total"]
            found.append([tf.make_ndarray(value).tolist() for value in values])
    return found


def main():
    port, folder, token = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    if port:
        found = {
            "with a token": call(port, folder, token, client="client"),
            "without a token": call(port, folder, "", client="client"),
            "with a wrong token": call(port, folder, "wrong", client="client"),
            "without a certificate": call(port, folder, token),
            "with a stranger's certificate": call(port, folder, token, client="stranger"),
        }
    else:
        found = logged(folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
