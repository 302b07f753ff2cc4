"""`keras.models` with the `save_model` and `load_model` that know SavedModel folders."""

from keras.models import *  # noqa: F403

from mainstay.keras.saving import load_model as load_model
from mainstay.keras.saving import save_model as save_model
