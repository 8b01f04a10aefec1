#pragma once

#include "model_package.h"

/* The definition (.emd) of a model: its input contract as JSON, with ArcGIS' keys where there are
 * some and our own below "Quadrat". */

/* Fills model from a definition: allocates it and sets all but the weights. On failure nothing is
 * left to close. The sentence does not name the file. */
Status model_definition_read(const Document *definition, Model *model);

/* weights_name: of the file inside the package. *definition is the caller's (document_close). */
Status model_definition_make(const Model *model, const char *weights_name, Document **definition);
