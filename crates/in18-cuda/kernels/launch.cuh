// How a kernel is started. On the CPU, for tests, the emulator (`emulator/`) has its own way.

#pragma once

#ifdef __CUDACC__
#include <cuda_runtime_api.h>

namespace in18 {

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, cudaStream_t stream, Arguments... arguments) {
  kernel<<<blocks, threads, 0, stream>>>(arguments...);
}

}  // namespace in18
#endif
