// c10d's engine for GPUs. What it needs of CUDA's mathematical libraries are types alone, which `declared/` has.

#include <torch/csrc/cuda/nccl.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <cstdlib>

#include "common.h"
#include "interface.h"

// An engine for this process's device. `backend`: where a c10::intrusive_ptr<c10d::Backend> is put; `store`: the ranks'
// c10::intrusive_ptr<c10d::Store>.
IN18_EXPORT int in18_cuda_join_nccl(void* backend, const void* store, int rank, int world, int64_t timeout_ms) {
  return in18::guarded([&] {
    // Its options are laid out as NCCL's headers say.
    constexpr uint64_t kHeaders = uint64_t{NCCL_MAJOR} << 32 | uint64_t{NCCL_MINOR} << 16 | uint64_t{NCCL_PATCH};
    TORCH_CHECK(torch::cuda::nccl::version() == kHeaders, "libtorch was built for another NCCL than ", NCCL_MAJOR, ".",
                NCCL_MINOR, ".", NCCL_PATCH, ", which this program was");
    // Who waits too long says so and ends in order (`in18-comm`); NCCL's own watchers would abort the process.
    for (const char* name : {"TORCH_NCCL_ASYNC_ERROR_HANDLING", "TORCH_NCCL_ENABLE_MONITORING"}) {
      setenv(name, "0", 0);
    }
    auto options = c10d::ProcessGroupNCCL::Options::create(true);
    options->timeout = std::chrono::milliseconds(timeout_ms);
    *static_cast<c10::intrusive_ptr<c10d::Backend>*>(backend) = c10::make_intrusive<c10d::ProcessGroupNCCL>(
        *static_cast<const c10::intrusive_ptr<c10d::Store>*>(store), rank, world, std::move(options));
  });
}
