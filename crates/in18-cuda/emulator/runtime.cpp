// CUDA's runtime, as far as `shim/` uses it, over the CPU's memory.
//
// What a GPU may do late is done as late as can be: a copy from or to the host waits until someone waits for it. Who looks too
// early finds what was there before. Everything else is done at once.

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <vector>

#include "runtime.h"

// What has not been done yet, in its order.
struct CUstream_st {
  std::deque<std::function<void()>> late;

  void finish() {
    while (!late.empty()) {
      const auto next = std::move(late.front());
      late.pop_front();
      next();
    }
  }
};

struct CUevent_st {
  // Where it has been recorded and not been reached; or null.
  cudaStream_t pending = nullptr;
  // How often it was recorded: only the last one counts.
  int records = 0;

  void reach() {
    while (pending != nullptr) {
      const auto next = std::move(pending->late.front());
      pending->late.pop_front();
      next();
    }
  }
};

namespace {

// Multiprocessors: few blocks, which still are more than one a column.
constexpr int kProcessors = 4;

}  // namespace

namespace in18 {

Streams new_streams() { return {new CUstream_st, new CUstream_st}; }

}  // namespace in18

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = kProcessors;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  std::snprintf(properties->name, sizeof properties->name, "emulated");
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *free = *total = size_t{1} << 30;
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }

const char* cudaGetErrorString(cudaError_t) { return "an error of the emulator"; }

cudaError_t cudaMalloc(void** place, size_t bytes) {
  *place = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *place == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaHostAlloc(void** place, size_t bytes, unsigned) { return cudaMalloc(place, bytes); }

cudaError_t cudaFree(void* place) {
  std::free(place);
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* place) { return cudaFree(place); }

cudaError_t cudaMemsetAsync(void* place, int value, size_t bytes, cudaStream_t) {
  std::memset(place, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  switch (kind) {
    case cudaMemcpyHostToDevice:
      // The source is read late.
      stream->late.push_back([=] { std::memcpy(dst, src, bytes); });
      return cudaSuccess;
    case cudaMemcpyDeviceToHost: {
      // What comes after it in the stream may change the source; the result appears late.
      const auto* const from = static_cast<const char*>(src);
      stream->late.push_back([dst, read = std::vector<char>(from, from + bytes)] {
        std::memcpy(dst, read.data(), read.size());
      });
      return cudaSuccess;
    }
    default:
      std::memcpy(dst, src, bytes);
      return cudaSuccess;
  }
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  stream->finish();
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  event->reach();
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (stream->late.empty()) {
    event->pending = nullptr;
    return cudaSuccess;
  }
  event->pending = stream;
  stream->late.push_back([event, record = ++event->records] {
    if (event->records == record) {
      event->pending = nullptr;
    }
  });
  return cudaSuccess;
}

// The stream's later work is done at once, so what it waits for is done now.
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t event, unsigned) {
  event->reach();
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  event->reach();
  return cudaSuccess;
}

// Who asks is told "not yet" once.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (event->pending == nullptr) {
    return cudaSuccess;
  }
  event->reach();
  return cudaErrorNotReady;
}

}  // extern "C"
