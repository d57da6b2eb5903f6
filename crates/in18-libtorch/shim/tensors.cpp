// Tensors and memory: views of memory that others own, arenas, copies.

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <torch/version.h>

#include <array>
#include <cstdlib>

#include "common.h"
#include "placement.h"

namespace in18 {
namespace {

// As `operations.rs` has them.
constexpr std::array kTypes = {at::kFloat, at::kBFloat16, at::kHalf, at::kByte, at::kInt, at::kLong};

at::Device device_of(int index) {
  return index < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

// A step's walk over hundreds of megabytes misses the TLB less on them. Before the first touch, which decides it.
void ask_for_huge_pages(void* start, size_t bytes) {
  constexpr uintptr_t kHugePage = 2 << 20;
  const auto first = (reinterpret_cast<uintptr_t>(start) + kHugePage - 1) / kHugePage * kHugePage;
  const auto end = (reinterpret_cast<uintptr_t>(start) + bytes) / kHugePage * kHugePage;
  if (first < end) {
    // Advice: a refusal changes nothing.
    madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
  }
}

}  // namespace
}  // namespace in18

#pragma GCC visibility push(default)
extern "C" {

const char* in18_torch_error() noexcept { return in18::last_error().c_str(); }

const char* in18_torch_version() noexcept { return TORCH_VERSION; }

// The instruction set that libtorch's own kernels are compiled for; valid until the next call.
const char* in18_torch_cpu_capability() noexcept {
  thread_local std::string text;
  text = at::get_cpu_capability();
  return text.c_str();
}

// Lets MKL, where libtorch was built with it, compute the same bits for the same operands. Otherwise a product of two threads
// depends on where memory came to lie. To be called before the first product: MKL refuses it later, as it does on processors
// that it cannot do it on, and then keeps what it has. The variable MKL_CBWR, if set, decides by itself.
void in18_torch_make_reproducible() noexcept {
  // `mkl_cbwr_set` and its argument for this processor's fastest reproducible code, `MKL_CBWR_AUTO`, of mkl_cbwr.h. A library
  // that MKL is linked into has the function by its inner name only.
  constexpr int kAuto = 2;
  if (std::getenv("MKL_CBWR") != nullptr) {
    return;
  }
  for (const char* name : {"MKL_CBWR_Set", "mkl_serv_cbwr_set"}) {
    if (void* function = dlsym(RTLD_DEFAULT, name)) {
      reinterpret_cast<int (*)(int)>(function)(kAuto);
      return;
    }
  }
}

int in18_torch_set_threads(int threads) {
  return in18::guarded([&] { at::set_num_threads(threads); });
}

int in18_torch_threads() noexcept { return at::get_num_threads(); }

// A tensor over memory that the caller owns, and keeps as long as the tensor. `device` is a CUDA device's number, or -1 for
// the CPU.
int in18_torch_view(in18_tensor** out, void* data, int type, int rank, const int64_t* sizes, const int64_t* strides,
                    int device) {
  return in18::guarded([&] {
    const auto options = at::TensorOptions().dtype(in18::kTypes.at(type)).device(in18::device_of(device));
    const auto extents = at::IntArrayRef(sizes, rank);
    *out = new at::Tensor(at::from_blob(data, extents, at::IntArrayRef(strides, rank), options));
  });
}

void in18_torch_drop(in18_tensor* tensor) noexcept { delete tensor; }

// Zeros that results of operations can be placed in. The tensor owns them: end it by `in18_torch_free`.
int in18_torch_allocate(in18_tensor** out, size_t bytes, int device) {
  return in18::guarded([&] {
    const auto options = at::TensorOptions().dtype(at::kByte).device(in18::device_of(device));
    auto memory = at::empty({static_cast<int64_t>(bytes)}, options);
    if (device < 0) {
      in18::ask_for_huge_pages(memory.data_ptr(), bytes);
    }
    memory.zero_();
    in18::remember_arena(memory.data_ptr(), bytes);
    *out = new at::Tensor(std::move(memory));
  });
}

void in18_torch_free(in18_tensor* memory) noexcept {
  in18::forget_arena(memory->data_ptr());
  delete memory;
}

void* in18_torch_data(const in18_tensor* tensor) noexcept { return tensor->data_ptr(); }

// What `in18-cuda`'s allocator asks (`in18_cuda_hooks`).
void* in18_torch_place_on_gpu(size_t bytes, void* (*allocate)(void*, size_t), void* context) {
  return in18::place_on(c10::DeviceType::CUDA, bytes, allocate, context);
}

bool in18_torch_is_planned(const void* pointer) noexcept { return in18::is_planned(pointer); }

// How many results of this thread's operations had to be copied to their places.
int64_t in18_torch_copied() noexcept { return in18::copied(); }

// dst = src, element by element: shapes are equal, types and strides may differ.
int in18_torch_copy(const in18_tensor* dst, const in18_tensor* src) {
  return in18::guarded([&] { dst->copy_(*src); });
}

}  // extern "C"
#pragma GCC visibility pop
