"""Which device is chosen, and what is said of one that is not here."""

import pytest
import torch

from fsr_fer.common.device import VARIABLE, choose_device
from fsr_fer.common.errors import UserError


@pytest.mark.parametrize(
    ("name", "chosen"), [("auto", "cuda:1"), ("cuda", "cuda:1"), ("cuda:0", "cuda:0")]
)
def test_each_process_of_torchrun_takes_a_gpu_of_its_own_unless_one_is_named_by_number(
    monkeypatch: pytest.MonkeyPatch, name: str, chosen: str
) -> None:
    tried = list[torch.device]()

    def empty(size: int, device: torch.device) -> torch.Tensor:
        tried.append(device)
        return torch.ones(size)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda on: None)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device(name) == torch.device(chosen)
    assert tried == [torch.device(chosen)]


@pytest.mark.parametrize("name", ["abacus", "meta", "hpu"])  # the last two are torch's
def test_a_device_that_is_not_here_is_called_as_the_user_did(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(UserError, match=rf"^device {name} cannot be used here"):
        choose_device(name)
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(UserError, match=rf"^FSR_FER_DEVICE={name} cannot be used here"):
        choose_device()


def test_a_typo_in_the_arithmetic_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSR_FER_ARITHMETIC", "nativ")
    with pytest.raises(UserError, match=r"^FSR_FER_ARITHMETIC=nativ is unknown; use native or"):
        choose_device("cpu")
