"""Two processes normalise like one process with the rows of both."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from torch import nn  # noqa: E402

from pointsam.detect.nets.norm import MOMENTUM, BatchNorm  # noqa: E402


def _rows(rank):
    return torch.randn(5 + 3 * rank, 4, generator=torch.Generator().manual_seed(rank)) * 3 + rank


def _process(rank, port, queue):
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    norm, rows = BatchNorm(4), _rows(rank).requires_grad_()
    out = norm(rows)
    (out**3).sum().backward()
    queue.put((rank, out.detach().numpy(), rows.grad.numpy(), norm.running_var.numpy()))
    torch.distributed.destroy_process_group()


def test_two_processes_are_one(free_port):
    context = torch.multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=_process, args=(rank, free_port, queue), daemon=True) for rank in range(2)]
    for worker in workers:
        worker.start()
    results = {rank: parts for rank, *parts in (queue.get(timeout=60) for _ in workers)}
    for worker in workers:
        worker.join(60)
    norm = nn.BatchNorm1d(4, eps=1e-3, momentum=MOMENTUM)
    rows = torch.cat([_rows(0), _rows(1)]).requires_grad_()
    out = norm(rows)
    (out**3).sum().backward()
    for rank, some in ((0, slice(0, 5)), (1, slice(5, None))):
        assert results[rank][0] == pytest.approx(out[some].detach().numpy(), abs=1e-5)
        assert results[rank][1] == pytest.approx(rows.grad[some].numpy(), abs=1e-3)
        assert results[rank][2] == pytest.approx(norm.running_var.numpy(), abs=1e-6)


@pytest.mark.parametrize("shape", [(7, 4), (2, 4, 3, 5)])
def test_one_process_is_torchs_own(shape):
    ours, theirs = BatchNorm(4), (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(4, eps=1e-3, momentum=MOMENTUM)
    x = torch.randn(shape)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize("rows", [0, 1])
def test_one_row_or_none_is_no_error(rows):
    """A crop may leave a sample a single pillar."""
    assert BatchNorm(4)(torch.randn(rows, 4)).isfinite().all()


def test_no_rows_leave_the_statistics_unchanged():
    norm = BatchNorm(4)
    norm(torch.zeros(0, 4))
    assert norm.running_mean.tolist() == [0] * 4
    assert norm.running_var.tolist() == [1] * 4
