// Where kernels run on the CPU, libtorch has no part for GPUs.

#include "libtorch.h"

#include <stdexcept>

#include "common.h"
#include "runtime.h"

namespace in18 {

Streams start_libtorch(int, bool, const in18_cuda_hooks&) { return new_streams(); }

std::string libraries() { return "libtorch on the CPU"; }

Cached cached_memory(int) { return {}; }

void empty_cache() {}

}  // namespace in18

IN18_EXPORT int in18_cuda_join_nccl(void*, const void*, int, int, int64_t) {
  return in18::guarded([] { throw std::runtime_error("there is no NCCL on the CPU"); });
}
