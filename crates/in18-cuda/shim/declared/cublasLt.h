// Opaque handles only: the headers of ATen name these types, and we never use them.
#pragma once
typedef struct cublasLtContext* cublasLtHandle_t;
