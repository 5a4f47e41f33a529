"""What stands for spconv-triton on a CPU: its two operators with their arguments, in plain torch.

A row is read only where the bits of the table say so, as by the kernels.
"""

from types import SimpleNamespace

import torch


def product(features, weight, row, bits, order, count):
    """(count,D) of features, (D,K,C) weights and a table by offset; offsets without a bit are skipped."""
    out = torch.zeros(count, len(weight))
    order = order[0].long() if order else torch.arange(count)
    for k in range(weight.shape[1]):
        some = order[(bits[0] >> k) & 1 == 1] if bits else order[row[k] >= 0]
        assert (row[k, some] >= 0).all()
        out[some] += features[row[k, some].long()].float() @ weight[:, k].float().T
    return out.to(features.dtype)


def implicit_gemm(features, filters, pair_fwd, mask, argsort, num_activate_out, masks, is_train, is_subm):
    assert [bits.tolist() for bits in masks] == [[2**32 - 1]]  # of all offsets
    assert pair_fwd.is_contiguous()
    assert is_train
    assert not is_subm or num_activate_out == len(features)
    return product(features, filters, pair_fwd, mask, argsort, num_activate_out), None, -1


def implicit_gemm_backward(
    features, filters, grad, pair_fwd, pair_bwd, mask, mask_back, argsort, argsort_back, _, masks, __, is_subm
):
    assert [bits.tolist() for bits in masks] == [[2**32 - 1]]
    assert len(features) == 0 or is_subm == torch.equal(pair_fwd.flip(0), pair_bwd)
    back = product(grad, filters.transpose(0, 2), pair_bwd, mask_back, argsort_back, len(features))
    weight = torch.zeros(filters.shape)
    for k, row in enumerate(pair_fwd):
        there = row >= 0
        weight[:, k] = grad[there].float().T @ features[row[there].long()].float()
    return back, weight.to(grad.dtype)


TWIN = SimpleNamespace(implicit_gemm=implicit_gemm, implicit_gemm_backward=implicit_gemm_backward)
