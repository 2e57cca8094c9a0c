"""Dropout with random bytes: the share of zeros, the mean, and where it applies."""

import pytest

torch = pytest.importorskip("torch")

from spark_apps.model.training.dropout import ByteDropout, replace_dropout  # noqa: E402

pytestmark = pytest.mark.train


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_tenth_of_the_values_becomes_zero_and_the_mean_stays(dtype: str) -> None:
    torch.manual_seed(7)
    values = torch.ones(333, 1001, dtype=getattr(torch, dtype), requires_grad=True)
    dropped = ByteDropout(0.1)(values)
    assert dropped.dtype == values.dtype and dropped.shape == values.shape
    # 26 of 256 bytes drop a value. The limit is six standard deviations.
    assert (dropped == 0).float().mean().item() == pytest.approx(26 / 256, abs=0.0032)
    assert dropped.float().mean().item() == pytest.approx(1, abs=0.005)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


def test_neighbours_and_calls_are_independent() -> None:
    torch.manual_seed(7)
    dropout = ByteDropout(0.5)
    first, second = (dropout(torch.ones(400, 400)) == 0 for _ in range(2))
    for one, other in ((first, second), (first[:, 1:], first[:, :-1]), (first[1:], first[:-1])):
        assert (one == other).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_evaluation_and_a_probability_of_zero_change_nothing() -> None:
    values = torch.randn(50, 3)
    assert torch.equal(ByteDropout(0.1).eval()(values), values)
    assert torch.equal(ByteDropout(0.0)(values), values)


def test_all_dropout_of_a_model_is_replaced() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.ReLU()))
    replace_dropout(model)
    assert [type(module) for module in model.modules() if "Dropout" in type(module).__name__] == [ByteDropout]
