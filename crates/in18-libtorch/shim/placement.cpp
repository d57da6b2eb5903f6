#include "placement.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace in18 {
namespace {

struct Range {
  const char* start;
  const char* end;
};

// Planned memory, so that its end is not left to whoever drops a tensor in it.
std::mutex arenas_mutex;
std::vector<Range> arenas;

struct Expected {
  void* place = nullptr;
  size_t bytes = 0;
  int ordinal = 0;
  // Allocations of this device count.
  c10::DeviceType device = c10::DeviceType::CPU;
};
thread_local Expected expected;

thread_local int64_t copies = 0;

// What allocations of the expected size were answered with, in their order. Memory that was freed may come again.
thread_local std::vector<const void*> answers;

// Stands before libtorch's allocator for the CPU.
class Placing final : public c10::Allocator {
 public:
  explicit Placing(c10::Allocator* inner) : inner_(inner) { inner_deleter_ = inner->raw_deleter(); }

  c10::DataPtr allocate(size_t bytes) override {
    const auto elsewhere = [](void* inner, size_t size) {
      return static_cast<c10::Allocator*>(inner)->raw_allocate(size);
    };
    void* const place = place_on(c10::DeviceType::CPU, bytes, elsewhere, inner_);
    return {place, place, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* dest, const void* src, std::size_t count) const override {
    inner_->copy_data(dest, src, count);
  }

 private:
  static void release(void* pointer) {
    if (pointer != nullptr && !is_planned(pointer)) {
      inner_deleter_(pointer);
    }
  }

  c10::Allocator* inner_;
  static c10::DeleterFnPtr inner_deleter_;
};

c10::DeleterFnPtr Placing::inner_deleter_ = nullptr;

void install() {
  // Lives as long as the process: tensors that it allocated may outlive everything else.
  static Placing* const placing = [] {
    auto* made = new Placing(c10::GetCPUAllocator());
    // Above the priority of libtorch's own, 0, and of the profiler's.
    c10::SetCPUAllocator(made, 200);
    return made;
  }();
  (void)placing;
}

}  // namespace

void* place_on(c10::DeviceType device, size_t bytes, void* (*allocate)(void*, size_t), void* context) {
  if (expected.place == nullptr || expected.bytes != bytes || expected.device != device) {
    return allocate(context, bytes);
  }
  const bool is_result = static_cast<int>(answers.size()) == expected.ordinal;
  void* const place = is_result ? expected.place : allocate(context, bytes);
  answers.push_back(place);
  return place;
}

bool is_planned(const void* pointer) {
  const std::lock_guard<std::mutex> lock(arenas_mutex);
  const auto at = static_cast<const char*>(pointer);
  return std::any_of(arenas.begin(), arenas.end(), [at](const Range& r) { return r.start <= at && at < r.end; });
}

void remember_arena(void* start, size_t bytes) {
  install();
  const std::lock_guard<std::mutex> lock(arenas_mutex);
  const auto first = static_cast<const char*>(start);
  arenas.push_back({first, first + bytes});
}

void forget_arena(void* start) {
  const std::lock_guard<std::mutex> lock(arenas_mutex);
  arenas.erase(
      std::remove_if(arenas.begin(), arenas.end(), [start](const Range& range) { return range.start == start; }),
      arenas.end());
}

Expectation::Expectation(const at::Tensor& dst, int ordinal) {
  answers.clear();
  expected = {dst.data_ptr(), dst.nbytes(), ordinal, dst.device().type()};
}

Expectation::~Expectation() { expected = {}; }

void deliver(const at::Tensor& dst, const at::Tensor& result, int* ordinal) {
  const bool is_there = result.data_ptr() == dst.data_ptr() && result.scalar_type() == dst.scalar_type() &&
                        result.sizes() == dst.sizes() &&
                        (result.strides() == dst.strides() ||
                         (dst.dim() == 4 && dst.is_contiguous(at::MemoryFormat::ChannelsLast) &&
                          result.is_contiguous(at::MemoryFormat::ChannelsLast)));
  if (is_there) {
    return;
  }
  const auto found = std::find(answers.rbegin(), answers.rend(), result.data_ptr());
  if (found != answers.rend()) {
    *ordinal = static_cast<int>(answers.rend() - found) - 1;
  }
  ++copies;
  dst.copy_(result);
}

int64_t copied() { return copies; }

}  // namespace in18
