#include "placement.h"

#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/cuda/CUDAPluggableAllocator.h>

#include <memory>
#include <mutex>
#include <utility>

namespace in18 {
namespace {

using c10::cuda::CUDACachingAllocator::CUDAAllocator;
using torch::cuda::CUDAPluggableAllocator::CUDAPluggableAllocator;

CUDAAllocator* caching = nullptr;
in18_cuda_hooks hooks{};

void* take(size_t bytes, cudaStream_t stream) {
  if (bytes == 0) {
    return nullptr;
  }
  const auto elsewhere = [](void* context, size_t size) {
    return caching->raw_alloc_with_stream(size, *static_cast<cudaStream_t*>(context));
  };
  return hooks.place(bytes, elsewhere, &stream);
}

void give_back(void* pointer) {
  if (pointer != nullptr && !hooks.is_planned(pointer)) {
    caching->raw_delete(pointer);
  }
}

// The base, which is meant for allocators from outside, keeps books of its own and leaves much out: here the caching allocator
// does both.
class Placing final : public CUDAPluggableAllocator {
 public:
  Placing()
      : CUDAPluggableAllocator([](size_t bytes, int, cudaStream_t stream) { return take(bytes, stream); },
                               [](void* pointer, size_t, int, cudaStream_t) { give_back(pointer); }) {}

  c10::DataPtr allocate(size_t bytes) override {
    const auto device = c10::cuda::current_device();
    void* const place = take(bytes, c10::cuda::getCurrentCUDAStream(device));
    return {place, place, &give_back, c10::Device(c10::DeviceType::CUDA, device)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void* raw_alloc(size_t bytes) override { return take(bytes, c10::cuda::getCurrentCUDAStream()); }
  void* raw_alloc_with_stream(size_t bytes, cudaStream_t stream) override { return take(bytes, stream); }
  void raw_delete(void* pointer) override { give_back(pointer); }

  void init(int device_count) override {
    caching->init(device_count);
    CUDAPluggableAllocator::init(device_count);
  }
  // Autotuning asks how large a workspace may be, and wants memory back after it.
  void cacheInfo(c10::DeviceIndex device, size_t* largest) override { caching->cacheInfo(device, largest); }
  void emptyCache(c10::cuda::MempoolId_t pool) override { caching->emptyCache(pool); }
  c10::CachingDeviceAllocator::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
    return caching->getDeviceStats(device);
  }
  void resetPeakStats(c10::DeviceIndex device) override { caching->resetPeakStats(device); }
  void attachOutOfMemoryObserver(c10::cuda::CUDACachingAllocator::OutOfMemoryObserver observer) override {
    caching->attachOutOfMemoryObserver(std::move(observer));
  }
  void attachAllocatorTraceTracker(c10::cuda::CUDACachingAllocator::AllocatorTraceTracker tracker) override {
    caching->attachAllocatorTraceTracker(std::move(tracker));
  }
};

}  // namespace

void install_placing(const in18_cuda_hooks& given) {
  static std::once_flag once;
  std::call_once(once, [&] {
    hooks = given;
    caching = c10::cuda::CUDACachingAllocator::allocator.load();
    // Lives as long as the process: tensors that it allocated may outlive everything else.
    torch::cuda::CUDAPluggableAllocator::changeCurrentAllocator(std::make_shared<Placing>());
  });
}

CUDAAllocator& caching_allocator() { return *caching; }

}  // namespace in18
