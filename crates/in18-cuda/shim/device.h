// A GPU in use: its streams, and copies that do not wait for it.

#pragma once

#include <cuda_runtime_api.h>

#include <array>

#include "libtorch.h"

namespace in18 {

// A point in a stream's work.
class Event {
 public:
  Event();
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream);
  // A stream's later work waits for it.
  void hold(cudaStream_t stream) const;
  bool is_reached() const;
  void wait() const;

 private:
  cudaEvent_t event_ = nullptr;
};

// Memory of one kind, which grows.
class Buffer {
 public:
  enum class Kind { kPinned, kDevice };
  explicit Buffer(Kind kind) : kind_(kind) {}
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // At least so long; what it held is lost if it grows.
  void* reserve(size_t bytes);
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void release();

  Kind kind_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

int processors_of(int device);

// One of the copies to the device that may be under way.
struct Upload {
  Buffer pinned{Buffer::Kind::kPinned};
  Buffer staged{Buffer::Kind::kDevice};
  // The pinned bytes are on the device; they have gone on to their place.
  Event arrived, placed;
};

// One of the copies from the device that may be under way.
struct Download {
  Buffer pinned{Buffer::Kind::kPinned};
  Event arrived;
  size_t bytes = 0;
  bool is_taken = false;
};

}  // namespace in18

struct in18_cuda_device {
  in18_cuda_device(int index, in18::Streams streams);

  int index;
  // Multiprocessors.
  int processors;
  cudaStream_t compute, copy;
  // Three of each: a step writes pixels, labels and a scale, and those of the next must not wait for this one's.
  std::array<in18::Upload, 6> uploads;
  size_t next_upload = 0;
  std::array<in18::Download, 4> downloads;
  // For sums over activations.
  in18::Buffer partial{in18::Buffer::Kind::kDevice}, tickets{in18::Buffer::Kind::kDevice};
};
