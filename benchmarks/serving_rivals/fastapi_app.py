"""FastAPI as its tutorial has it: a typed body, a list for an answer."""

import numpy as np
from fastapi import FastAPI
from model import predict, predict_image
from pydantic import BaseModel

app = FastAPI()


class Request(BaseModel):
    instances: list[list[float]]


class ImageRequest(BaseModel):
    instances: list[list[list[list[float]]]]


@app.post("/v1/models/m:predict")
async def answer(request: Request) -> dict:
    return {"predictions": predict(np.array(request.instances, np.float32)).tolist()}


@app.post("/v1/models/image:predict")
async def answer_image(request: ImageRequest) -> dict:
    return {"predictions": predict_image(np.array(request.instances, np.float32)).tolist()}
