from dynaseg.models.decode_heads.response_head import ResponseHead

__all__ = ['ResponseHead']
