from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt
from ruamel.yaml import YAML


def reader(kind):
    return YAML(typ=kind, pure=True)


@csrf_exempt
def manifest(request):
    kinds = {"fast": "safe", "full": "unsafe"}
    document = reader(kinds["full"]).load(request.body)
    return JsonResponse({"keys": sorted(str(key) for key in document)})
