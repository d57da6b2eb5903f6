// Kernels of our own: what a network does beside its convolutions moves memory, and the fewer times the better.
//
// They take activations as (N, H, W, C) whose number of channels is a multiple of `pack_width`, and addresses that are multiples
// of 16. An operation's results may lie over its operands element by element.

#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstddef>

namespace in18 {

enum class Type { kF32 = 0, kBf16 = 1, kF16 = 2 };

// The extents of an activation, and how many multiprocessors there are to go through it.
struct Rows {
  int rows, channels, processors;
};

// What batch normalisation learns of a batch; all (C) fp32.
struct Statistics {
  float *mean, *inverse_deviation, *running_mean, *running_variance;
  float epsilon, momentum;
};

// What it normalises by; all (C) fp32.
struct Affine {
  const float *gamma, *beta, *mean;
  // One of them; the other is null.
  const float *inverse_deviation, *variance;
  // Added to the variance.
  float epsilon;
};

// What its gradients need and give; all (C) fp32.
struct Gradients {
  float *dgamma, *dbeta;
  const float *gamma, *mean, *inverse_deviation;
};

// Memory for sums. The tickets are zeros before and after.
struct Workspace {
  float* partial;
  unsigned* tickets;
};

// Values that are loaded at once.
int pack_width(Type type);

// How large a workspace must be.
size_t workspace_floats(const Rows& rows, Type type);
size_t workspace_tickets(const Rows& rows, Type type);

// addend may be null.
void batch_norm(Type type, void* dst, const void* src, const void* addend, const Rows& rows,
                const Statistics& statistics_of, const Affine& by, bool relu, const Workspace& workspace,
                cudaStream_t stream);

// The same by statistics that are given: an evaluation's.
void batch_norm_inference(Type type, void* dst, const void* src, const Rows& rows, const Affine& by, bool relu,
                          cudaStream_t stream);

// dst: what the forward half gave after its ReLU; null if it had none.
void batch_norm_backward(Type type, void* dsrc, const void* src, const void* dst, const void* ddst, const Rows& rows,
                         const Gradients& gradients, const Workspace& workspace, cudaStream_t stream);

// dst = pixels · scale + shift, as (pixels, 3); so many pixels, a multiple of 16. scale and shift: (3).
void normalize(Type type, void* dst, const unsigned char* pixels, const float* scale, const float* shift, size_t count,
               int processors, cudaStream_t stream);

// A pooling's extents. One window's stride and padding, and how it lies over the source.
struct Pool {
  int images, channels;
  int height, width;
  int out_height, out_width;
  int kernel, stride, padding, processors;
};

// places: (N, H', W', C), where in its window each maximum was, by rows.
void max_pool(Type type, void* dst, unsigned char* places, const void* src, const Pool& pool, cudaStream_t stream);
void max_pool_backward(Type type, void* dsrc, const void* ddst, const unsigned char* places, const Pool& pool,
                       cudaStream_t stream);

// dsrc = a + b where dst > 0, else 0; so many values, a multiple of `pack_width`.
void sum_relu_backward(Type type, void* dsrc, const void* dst, const void* a, const void* b, size_t values,
                       int processors, cudaStream_t stream);

}  // namespace in18
