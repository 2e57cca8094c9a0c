"""The networks that training and the hand-written ONNX graph support."""

# Model types of transformers that have the same weights, with the same names.
ROBERTAS = ("roberta", "xlm-roberta")
