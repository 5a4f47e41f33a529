"""What torch must know of the simulated device: a backend of its own, with the casts of CUDA's autocast.

Torch has one place for a backend that it does not know, PrivateUse1. For autograd and autocast, tensors of the
simulated device belong to this backend, as CUDA's streams and kernels need a driver. The place is taken once and kept
until the process ends; nothing else uses it.
"""

from functools import cache
from types import SimpleNamespace

import torch
from torch.utils._pytree import tree_leaves, tree_map

BACKEND = torch.device("privateuseone", 0)
"""The device that autograd sees."""
_KEY = "AutocastPrivateUse1"
LOWERED = {
    *("_convolution", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d"),
    *("conv_transpose3d", "convolution", "cudnn_convolution", "cudnn_convolution_transpose", "prelu", "linear"),
    *("addmm", "addmv", "addr", "matmul", "einsum", "mm", "mv", "addbmm", "baddbmm", "bmm", "chain_matmul"),
    *("linalg_vecdot", "linalg_multi_dot", "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell", "lstm_cell", "gru_cell"),
    *("rnn_tanh_cell", "rnn_relu_cell", "_cudnn_rnn", "_scaled_dot_product_flash_attention"),
    "scaled_dot_product_attention",
}
"""Operators that autocast computes in half precision (torch's "CUDA Op-Specific Behavior")."""
PROMOTED = {
    *("addcdiv", "addcmul", "atan2", "bilinear", "cross", "dot", "vdot", "grid_sampler", "index_put", "tensordot"),
    "scatter_add",
}
"""Those that it computes in the widest precision of their arguments; all others that it casts, in single precision."""


class _Guard(torch._C._acc.DeviceGuard):
    """Streams of the backend: autograd has one."""

    def type_(self):
        return torch._C._autograd.DeviceType.PrivateUse1


class _Hooks(torch._C._acc.PrivateUse1Hooks):
    def is_available(self):
        return False

    def is_built(self):
        return True

    def has_primary_context(self, _):
        return True


_KEPT = _Guard(), _Hooks(), torch.library.Library("aten", "IMPL"), torch.library.Library("_", "IMPL")
"""Torch holds these by address."""


@cache
def register():
    """Take the place of the backend in this process."""
    guard, hooks, casts, others = _KEPT
    # The first backward starts a thread for each device; none is known yet. With threads, no process could be forked.
    torch.ones(1, requires_grad=True).sum().backward()
    module = SimpleNamespace(
        is_available=lambda: False,
        device_count=lambda: 0,
        get_amp_supported_dtype=lambda: [torch.bfloat16, torch.float16],
        _is_in_bad_fork=lambda: False,
        manual_seed_all=lambda _: None,
    )
    torch.utils.rename_privateuse1_backend(BACKEND.type)
    torch._register_device_module(BACKEND.type, module)
    torch._C._acc.register_python_privateuseone_hook(hooks)
    torch._C._acc.register_python_privateuseone_device_guard(guard)
    torch._C._ensureCUDADeviceGuardSet()  # without a driver, "cuda" is then cuda:0
    others.fallback(torch.library.fallthrough_kernel, _KEY)
    for name in cast_operators():
        casts.impl(name, _casting(name), _KEY)


def cast_operators():
    """Names and overloads of torch's own operators that CUDA's autocast casts."""
    names = (name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::"))
    return [name for name in names if torch._C._dispatch_has_kernel_for_dispatch_key(name, "AutocastCUDA")]


def _casting(name):
    """The operator after its arguments were cast."""
    name, _, overload = name.removeprefix("aten::").partition(".")
    operator = getattr(getattr(torch.ops.aten, name), overload or "default")
    key = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastPrivateUse1)

    def kernel(*args, **kwargs):
        if name == "binary_cross_entropy":
            raise RuntimeError("binary_cross_entropy is unsafe to autocast: use logits")
        floats = [value for value in tree_leaves((args, kwargs)) if _is_cast(value)]
        single = any(value.dtype == torch.float32 for value in floats) if name in PROMOTED else name not in LOWERED
        dtype = torch.float32 if single else torch.get_autocast_dtype(BACKEND.type)
        with torch._C._ExcludeDispatchKeyGuard(key):
            args, kwargs = tree_map(lambda value: value.to(dtype) if _is_cast(value) else value, (args, kwargs))
            return operator(*args, **kwargs)

    return kernel


def _is_cast(value):
    """Whether autocast may cast an argument: a tensor of the device with real numbers, not in double precision."""
    is_ours = isinstance(value, torch.Tensor) and value.is_cuda
    return is_ours and value.is_floating_point() and value.dtype != torch.double
