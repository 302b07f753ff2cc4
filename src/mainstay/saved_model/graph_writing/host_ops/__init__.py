"""Host operations as operations of TensorFlow, one lowering for each of the registry of `mainstay.hostops`."""
