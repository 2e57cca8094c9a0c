"""Checkpoints for the comparison with pipelines: the bundled weights, and a classifier of the size of roberta-base."""

import shutil
from pathlib import Path

import numpy as np

from spark_apps.labels import LABELS
from spark_apps.scoring.description import FALLBACK_FILE, MODEL_FILE, TOKENIZER_FILE, Description
from spark_apps.scoring.text import normalise
from tests.benchmarks.texts import labelled

_FITTED_ON = 300


def roberta_base(folder: Path, tokenizer: Path) -> Path:
    """Write a checkpoint of 124 million parameters: random layers, and a head that is fitted to their output.

    Trained layers would have to be downloaded, and the time does not depend on the weights. With the fitted head, the
    labels of int8 and float32 can be compared. Random layers lack the outlier channels of trained layers: the agreement
    does not predict the agreement of a trained model.
    """
    import torch
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification, set_seed

    set_seed(1)
    config = RobertaConfig(
        vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
        id2label=dict(enumerate(LABELS)), label2id={label: number for number, label in enumerate(LABELS)},
    )  # fmt: skip
    network = RobertaForSequenceClassification(config).eval()
    words = PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer / TOKENIZER_FILE), pad_token="<pad>", unk_token="<unk>", model_max_length=512
    )
    sample = labelled(_FITTED_ON)
    with torch.inference_mode():
        tokens = words([normalise(text) for text, _ in sample], padding=True, return_tensors="pt")
        hidden = torch.cat([
            network.roberta(ids, attention_mask=mask).last_hidden_state[:, :1]
            for ids, mask in zip(tokens.input_ids.split(32), tokens.attention_mask.split(32), strict=True)
        ])  # fmt: skip
    truth = torch.tensor([label for _, label in sample])
    # The outputs of random layers differ little between texts, and the head starts with small weights: many steps.
    optimiser = torch.optim.AdamW(network.classifier.parameters(), lr=1e-3)
    for _ in range(300):
        loss = torch.nn.functional.cross_entropy(network.classifier(hidden.clone()), truth)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    network.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def torch_model(exported: Path, out: Path) -> Path:
    """Write the weights of an exported model as a transformers checkpoint; needs the train extra."""
    import onnx
    import torch
    from onnx import numpy_helper
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification

    # The weights of an int8 model are rounded; the fallback file has the original weights.
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
        # The export folds some biases into others: with zeros in their place, the function is the same.
        name: torch.from_numpy(np.array(weights[name], np.float32)) if name in weights else torch.zeros_like(value)
        for name, value in model.state_dict().items()
    }
    missing = {name for name in state if name not in weights and not name.endswith(("dense.bias", "key.bias"))}
    if missing:
        raise ValueError(f"{exported} lacks the weights {', '.join(sorted(missing))}")
    model.load_state_dict(state)
    model.save_pretrained(out)
    shutil.copyfile(exported / TOKENIZER_FILE, out / TOKENIZER_FILE)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(exported / TOKENIZER_FILE), pad_token="<pad>")
    tokenizer.model_max_length = description.max_length
    tokenizer.save_pretrained(out)
    return out
