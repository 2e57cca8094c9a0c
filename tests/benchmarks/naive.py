"""What a user would write first: a Spark UDF that calls a Hugging Face pipeline, one tweet at a time."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import functions as F

from spark_apps.scoring.description import FALLBACK_FILE, MODEL_FILE, TOKENIZER_FILE, Description


def torch_model(exported: Path, out: Path) -> Path:
    """Write the weights of an exported model as a transformers checkpoint; needs the train extra."""
    import onnx
    import torch
    from onnx import numpy_helper
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification

    # An int8 model's weights are rounded; those of the file beside it are not.
    description = Description.read(exported)
    graph = onnx.load(exported / (FALLBACK_FILE if FALLBACK_FILE in description.checksums else MODEL_FILE)).graph
    weights = {item.name.removesuffix(".fp16"): numpy_helper.to_array(item) for item in graph.initializer}
    words, width = weights["roberta.embeddings.word_embeddings.weight"].shape
    config = RobertaConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=len({name.split(".")[3] for name in weights if name.startswith("roberta.encoder.layer.")}),
        num_attention_heads=12,
        intermediate_size=weights["roberta.encoder.layer.0.intermediate.dense.bias"].shape[0],
        max_position_embeddings=weights["roberta.embeddings.position_embeddings.weight"].shape[0],
        type_vocab_size=weights["roberta.embeddings.token_type_embeddings.weight"].shape[0],
        id2label=dict(enumerate(description.labels)),
        num_labels=len(description.labels),
        pad_token_id=1,
    )
    model = RobertaForSequenceClassification(config)
    state = {
        name: torch.from_numpy(np.array(weights[name], np.float32)) for name in model.state_dict() if name in weights
    }
    missing = set(model.state_dict()) - set(state)
    if missing:
        raise ValueError(f"the export holds no {', '.join(sorted(missing))}")
    model.load_state_dict(state)
    model.save_pretrained(out)
    shutil.copyfile(exported / TOKENIZER_FILE, out / TOKENIZER_FILE)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(exported / TOKENIZER_FILE), pad_token="<pad>")
    tokenizer.model_max_length = description.max_length
    tokenizer.save_pretrained(out)
    return out


# Of the worker: the pipeline is loaded once in it, whatever the number of its tasks.
_loaded: dict[str, Any] = {}


def naive_udf(folder: str) -> Any:
    """Return a UDF text → label; each worker loads the pipeline once, on one thread as it has one core."""
    return F.udf(lambda text: label(folder, text), "string")


def label(folder: str, text: str) -> str:
    if folder not in _loaded:
        import torch
        from transformers import pipeline

        torch.set_num_threads(1)
        _loaded[folder] = pipeline("text-classification", model=folder, tokenizer=folder)
    return str(_loaded[folder](text, truncation=True)[0]["label"])
