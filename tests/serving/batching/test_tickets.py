import numpy as np

from mainstay.core import ArtifactError
from mainstay.serving.batching.chunks import Chunk
from mainstay.serving.batching.outputs import Outputs, Run
from mainstay.serving.batching.tickets import Piece, SplitTicket


def outputs(*rows):
    return Outputs.of({"y": np.array(rows)}, Run(len(rows), 1.0, 2.0, 8))


def test_a_piece_answers_once():
    told = []
    piece = Piece(Chunk(1, [[1]]), told.append, 0.0, 0.0, 0, None)
    piece.settle(outputs(1))
    piece.settle(ValueError())
    piece.cancel()
    assert len(told) == 1


def test_the_pieces_of_a_request_are_put_together_in_order_whenever_they_come():
    told = []
    ticket = SplitTicket(told.append, 2)
    ticket.settle(1, outputs(3))
    assert not told
    ticket.settle(0, outputs(1, 2))
    assert told[0].arrays["y"].tolist() == [1, 2, 3]
    assert (told[0].run.rows, told[0].run.padded_rows) == (3, 16)


def test_the_first_failure_of_a_piece_answers_the_request_and_the_others_are_given_up():
    told = []
    ticket = SplitTicket(told.append, 2)
    pieces = [Piece(Chunk(1, [[1]]), told.append, 0.0, 0.0, 0, None) for _ in range(2)]
    ticket.pieces = pieces
    error = ValueError()
    ticket.settle(0, error)
    ticket.settle(1, outputs(1))
    assert told == [error]
    assert [piece.done for piece in pieces] == [None, None]


def test_a_request_that_is_given_up_is_not_answered():
    told = []
    ticket = SplitTicket(told.append, 1)
    ticket.cancel()
    ticket.settle(0, outputs(1))
    assert not told


def test_pieces_whose_outputs_do_not_go_together_are_answered_with_what_is_wrong():
    answers = []
    ticket = SplitTicket(answers.append, 2)
    ticket.settle(0, Outputs.of({"y": np.zeros((1, 2))}))
    ticket.settle(1, Outputs.of({"y": np.zeros((1, 3))}))
    (answer,) = answers
    assert isinstance(answer, ArtifactError)
