"""The model to train: a tiny one from scratch, or one of transformers with additional low-rank weights (LoRA)."""

from __future__ import annotations

from typing import Any

from cplearn_solo.core.errors import InputError, require

CHARACTERS = "0123456789+="
SPECIAL = ("<pad>", "<eos>", "<unk>")


def tiny(seed: int) -> tuple[Any, Any]:
    """A Llama of 0.1 million weights and a tokenizer with one token per character."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({c: i for i, c in enumerate([*SPECIAL, *CHARACTERS])}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    words.decoder = decoders.Fuse()
    names = dict(zip(("pad_token", "eos_token", "unk_token"), SPECIAL))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **names)
    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **sizes, **ids)
    return LlamaForCausalLM(config), tokenizer


def pretrained(name: str, tokenizer_name: str | None, *, lora: int, seed: int) -> tuple[Any, Any]:
    """A causal model of transformers and its tokenizer; ``lora``: the rank of the trained weights, or 0 to train
    all. Raises ``InputError`` if it cannot be loaded, and for a tokenizer that does not fit."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    try:
        model = AutoModelForCausalLM.from_pretrained(name)
        tokenizer = AutoTokenizer.from_pretrained(tokenizer_name or name)
    except (OSError, ValueError) as error:
        raise InputError(f"--model = {name!r}: must be a folder or a model of the hub ({_line(error)})") from error
    check_fit(model, tokenizer, tokenizer_name or name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if lora:
        from peft import LoraConfig, get_peft_model

        low_rank = LoraConfig(r=lora, lora_alpha=2 * lora, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, low_rank)
    return model, tokenizer


def check_fit(model: Any, tokenizer: Any, name: str) -> None:
    """Raises ``InputError`` for a tokenizer with more tokens than the model has rows, or without an end token."""
    rows = model.get_input_embeddings().weight.shape[0]
    wanted = f"the model's own: it has {len(tokenizer)} tokens, the model {rows}"
    require(len(tokenizer) <= rows, "--tokenizer", name, wanted)
    require(tokenizer.eos_token_id is not None, "--tokenizer", name, "one with an end of text (eos_token)")


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
