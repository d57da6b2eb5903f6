// Opaque handles only: the headers of ATen name these types, and we never use them.
#pragma once
#include <cusolver_common.h>
typedef struct cusolverDnContext* cusolverDnHandle_t;
