// The library's C interface, as `src/sys.rs` declares it.
//
// Functions that return an int return a code of `common.h`; the text of a thread's last error is kept until its next one. No
// exception leaves the library.

#pragma once

#include <cstddef>
#include <cstdint>

#define IN18_EXPORT extern "C" __attribute__((visibility("default")))

// How results of libtorch's operations come to lie in planned memory (`in18-libtorch/shim/placement.h`).
struct in18_cuda_hooks {
  // The place of an allocation: planned memory, or what `allocate` gives.
  void* (*place)(size_t bytes, void* (*allocate)(void* context, size_t bytes), void* context);
  // Whether memory is planned: its end is not left to whoever drops a tensor in it.
  bool (*is_planned)(const void* pointer);
};

// Bytes of a device that this process holds: in tensors, and taken from the device; now and at most.
struct in18_cuda_memory {
  uint64_t allocated, max_allocated, cached, max_cached;
};

// Batch normalisation of a batch, as `kernels.h` has it. Types are numbered as there.
struct in18_cuda_batch_norm {
  int type, relu, rows, channels;
  void* dst;
  const void *src, *addend;
  const float *gamma, *beta;
  float *mean, *inverse_deviation, *running_mean, *running_variance;
  float epsilon, momentum;
};

// By given statistics.
struct in18_cuda_batch_norm_inference {
  int type, relu, rows, channels;
  void* dst;
  const void* src;
  const float *gamma, *beta, *mean, *variance;
  float epsilon;
};

struct in18_cuda_batch_norm_backward {
  int type, rows, channels;
  void* dsrc;
  const void *src, *dst, *ddst;
  const float *gamma, *mean, *inverse_deviation;
  float *dgamma, *dbeta;
};

// A max pooling's extents.
struct in18_cuda_pool {
  int type;
  int images, channels, height, width, out_height, out_width;
  int kernel, stride, padding;
};

struct in18_cuda_device;
