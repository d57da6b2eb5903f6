// Operations by kernels of our own (`kernels/`), on the stream of all others.

#include <c10/cuda/CUDAException.h>

#include "common.h"
#include "device.h"
#include "kernels.h"

namespace {

// Memory for an operation's sums. All operations share it, since they run one after another.
in18::Workspace workspace_of(in18_cuda_device* device, const in18::Rows& rows, in18::Type type) {
  const size_t tickets = in18::workspace_tickets(rows, type) * sizeof(unsigned);
  if (device->tickets.bytes() < tickets) {
    void* const zeros = device->tickets.reserve(tickets);
    C10_CUDA_CHECK(cudaMemsetAsync(zeros, 0, tickets, device->compute));
  }
  return {static_cast<float*>(device->partial.reserve(in18::workspace_floats(rows, type) * sizeof(float))),
          static_cast<unsigned*>(device->tickets.data())};
}

in18::Pool pool_of(const in18_cuda_device* device, const in18_cuda_pool* op) {
  return {op->images, op->channels, op->height,  op->width,         op->out_height, op->out_width,
          op->kernel, op->stride,   op->padding, device->processors};
}

}  // namespace

IN18_EXPORT int in18_cuda_run_batch_norm(in18_cuda_device* device, const in18_cuda_batch_norm* op) {
  return in18::guarded([&] {
    const in18::Rows rows{op->rows, op->channels, device->processors};
    const auto type = static_cast<in18::Type>(op->type);
    const in18::Statistics statistics{op->mean,    op->inverse_deviation, op->running_mean, op->running_variance,
                                      op->epsilon, op->momentum};
    const in18::Affine affine{op->gamma, op->beta, op->mean, op->inverse_deviation, nullptr, 0};
    in18::batch_norm(type, op->dst, op->src, op->addend, rows, statistics, affine, op->relu != 0,
                     workspace_of(device, rows, type), device->compute);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

IN18_EXPORT int in18_cuda_run_batch_norm_inference(in18_cuda_device* device, const in18_cuda_batch_norm_inference* op) {
  return in18::guarded([&] {
    const in18::Rows rows{op->rows, op->channels, device->processors};
    const in18::Affine affine{op->gamma, op->beta, op->mean, nullptr, op->variance, op->epsilon};
    in18::batch_norm_inference(static_cast<in18::Type>(op->type), op->dst, op->src, rows, affine, op->relu != 0,
                               device->compute);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

IN18_EXPORT int in18_cuda_run_batch_norm_backward(in18_cuda_device* device, const in18_cuda_batch_norm_backward* op) {
  return in18::guarded([&] {
    const in18::Rows rows{op->rows, op->channels, device->processors};
    const auto type = static_cast<in18::Type>(op->type);
    const in18::Gradients gradients{op->dgamma, op->dbeta, op->gamma, op->mean, op->inverse_deviation};
    in18::batch_norm_backward(type, op->dsrc, op->src, op->dst, op->ddst, rows, gradients,
                              workspace_of(device, rows, type), device->compute);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

IN18_EXPORT int in18_cuda_run_sum_relu_backward(in18_cuda_device* device, int type, void* dsrc, const void* dst,
                                                const void* a, const void* b, size_t values) {
  return in18::guarded([&] {
    in18::sum_relu_backward(static_cast<in18::Type>(type), dsrc, dst, a, b, values, device->processors,
                            device->compute);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

IN18_EXPORT int in18_cuda_run_normalize(in18_cuda_device* device, int type, void* dst, const unsigned char* pixels,
                                        const float* scale, const float* shift, size_t count) {
  return in18::guarded([&] {
    in18::normalize(static_cast<in18::Type>(type), dst, pixels, scale, shift, count, device->processors,
                    device->compute);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

IN18_EXPORT int in18_cuda_run_max_pool(in18_cuda_device* device, const in18_cuda_pool* op, void* dst,
                                       unsigned char* places, const void* src) {
  return in18::guarded([&] {
    in18::max_pool(static_cast<in18::Type>(op->type), dst, places, src, pool_of(device, op), device->compute);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}

IN18_EXPORT int in18_cuda_run_max_pool_backward(in18_cuda_device* device, const in18_cuda_pool* op, void* dsrc,
                                                const void* ddst, const unsigned char* places) {
  return in18::guarded([&] {
    in18::max_pool_backward(static_cast<in18::Type>(op->type), dsrc, ddst, places, pool_of(device, op),
                            device->compute);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
}
