#include "device.h"

#include <c10/cuda/CUDAException.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "common.h"

namespace in18 {

Event::Event() { C10_CUDA_CHECK(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming)); }

// What goes wrong at an end interests nobody.
Event::~Event() { (void)cudaEventDestroy(event_); }

void Event::record(cudaStream_t stream) { C10_CUDA_CHECK(cudaEventRecord(event_, stream)); }

void Event::hold(cudaStream_t stream) const { C10_CUDA_CHECK(cudaStreamWaitEvent(stream, event_, 0)); }

bool Event::is_reached() const {
  const cudaError_t state = cudaEventQuery(event_);
  if (state == cudaErrorNotReady) {
    // It counts as this thread's last error otherwise.
    (void)cudaGetLastError();
    return false;
  }
  C10_CUDA_CHECK(state);
  return true;
}

int processors_of(int device) {
  int processors = 0;
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
  return processors;
}

void Event::wait() const { C10_CUDA_CHECK(cudaEventSynchronize(event_)); }

Buffer::~Buffer() { release(); }

void Buffer::release() {
  if (data_ != nullptr) {
    (void)(kind_ == Kind::kPinned ? cudaFreeHost(data_) : cudaFree(data_));
  }
  data_ = nullptr;
  bytes_ = 0;
}

void* Buffer::reserve(size_t bytes) {
  if (bytes_ < bytes) {
    release();
    const auto allocate = [&] {
      return kind_ == Kind::kPinned ? cudaHostAlloc(&data_, bytes, cudaHostAllocDefault) : cudaMalloc(&data_, bytes);
    };
    cudaError_t allocated = allocate();
    if (allocated == cudaErrorMemoryAllocation && kind_ == Kind::kDevice) {
      // libtorch's allocator may hold in reserve what is missing.
      (void)cudaGetLastError();
      empty_cache();
      allocated = allocate();
    }
    C10_CUDA_CHECK(allocated);
    bytes_ = bytes;
  }
  return data_;
}

}  // namespace in18

in18_cuda_device::in18_cuda_device(int number, in18::Streams streams)
    : index(number), processors(in18::processors_of(number)), compute(streams.compute), copy(streams.copy) {}

IN18_EXPORT const char* in18_cuda_error() { return in18::last_error().c_str(); }

IN18_EXPORT int in18_cuda_count(int* count) {
  return in18::guarded([&] {
    const cudaError_t counted = cudaGetDeviceCount(count);
    if (counted == cudaErrorNoDevice) {
      // Nothing is wrong: there are none, or they are hidden.
      (void)cudaGetLastError();
      *count = 0;
      return;
    }
    C10_CUDA_CHECK(counted);
  });
}

// Takes a device for this process. `tf32`: whether products of fp32 may be computed in TF32.
IN18_EXPORT int in18_cuda_open(in18_cuda_device** out, int index, bool tf32, const in18_cuda_hooks* hooks) {
  return in18::guarded([&] { *out = new in18_cuda_device(index, in18::start_libtorch(index, tf32, *hooks)); });
}

IN18_EXPORT void in18_cuda_close(in18_cuda_device* device) { delete device; }

// Its name, its compute capability, and what libtorch computes with.
IN18_EXPORT int in18_cuda_describe(const in18_cuda_device* device, char* text, size_t capacity, int* major, int* minor) {
  return in18::guarded([&] {
    cudaDeviceProp properties{};
    C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, device->index));
    *major = properties.major;
    *minor = properties.minor;
    std::snprintf(text, capacity, "%s, compute capability %d.%d, %s", properties.name, properties.major,
                  properties.minor, in18::libraries().c_str());
  });
}

IN18_EXPORT int in18_cuda_memory_of(const in18_cuda_device* device, in18_cuda_memory* memory) {
  return in18::guarded([&] {
    const auto [allocated, max_allocated, cached, max_cached] = in18::cached_memory(device->index);
    *memory = {allocated, max_allocated, cached, max_cached};
  });
}

// Bytes of the device that no process holds.
IN18_EXPORT int in18_cuda_free_memory(const in18_cuda_device*, uint64_t* bytes) {
  return in18::guarded([&] {
    size_t free = 0, total = 0;
    C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
    *bytes = free;
  });
}

// Waits for all operations that were started; sums over ranks that none of them waits for are not among these.
IN18_EXPORT int in18_cuda_synchronize(const in18_cuda_device* device) {
  return in18::guarded([&] { C10_CUDA_CHECK(cudaStreamSynchronize(device->compute)); });
}

// Bytes to the device, in the order of its operations. Returns as soon as the source may change.
IN18_EXPORT int in18_cuda_write(in18_cuda_device* device, void* dst, const void* src, size_t bytes) {
  return in18::guarded([&] {
    in18::Upload& upload = device->uploads.at(device->next_upload);
    device->next_upload = (device->next_upload + 1) % device->uploads.size();
    upload.arrived.wait();
    std::memcpy(upload.pinned.reserve(bytes), src, bytes);
    // It arrives beside what is computed, in memory of its own, since that which it is for is in use until then.
    upload.placed.hold(device->copy);
    void* const staged = upload.staged.reserve(bytes);
    C10_CUDA_CHECK(cudaMemcpyAsync(staged, upload.pinned.data(), bytes, cudaMemcpyHostToDevice, device->copy));
    upload.arrived.record(device->copy);
    upload.arrived.hold(device->compute);
    C10_CUDA_CHECK(cudaMemcpyAsync(dst, staged, bytes, cudaMemcpyDeviceToDevice, device->compute));
    upload.placed.record(device->compute);
  });
}

// Starts to copy bytes from the device, in the order of its operations. `slot` names the copy.
IN18_EXPORT int in18_cuda_start_read(in18_cuda_device* device, const void* src, size_t bytes, int* slot) {
  return in18::guarded([&] {
    auto& downloads = device->downloads;
    const auto free = std::find_if(downloads.begin(), downloads.end(), [](const auto& d) { return !d.is_taken; });
    TORCH_CHECK(free != downloads.end(), "more than ", downloads.size(), " copies from the device at once");
    void* const pinned = free->pinned.reserve(bytes);
    C10_CUDA_CHECK(cudaMemcpyAsync(pinned, src, bytes, cudaMemcpyDeviceToHost, device->compute));
    free->arrived.record(device->compute);
    free->bytes = bytes;
    free->is_taken = true;
    *slot = static_cast<int>(free - downloads.begin());
  });
}

IN18_EXPORT int in18_cuda_is_read(const in18_cuda_device* device, int slot, bool* is_read) {
  return in18::guarded([&] { *is_read = device->downloads.at(slot).arrived.is_reached(); });
}

// Waits for a copy and ends it. `dst` has the length that the copy was started with.
IN18_EXPORT int in18_cuda_finish_read(in18_cuda_device* device, int slot, void* dst) {
  return in18::guarded([&] {
    in18::Download& download = device->downloads.at(slot);
    download.is_taken = false;
    download.arrived.wait();
    std::memcpy(dst, download.pinned.data(), download.bytes);
  });
}
