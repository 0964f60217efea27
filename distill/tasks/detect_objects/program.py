"""Python that shows a picture to an exported detector as evaluation did, and reads its boxes, by Pillow and numpy."""

from __future__ import annotations

from distill.export import Around, Context, Graph
from distill.modalities.images.canvas import mean_colour
from distill.tasks._images.around import around
from distill.tasks.detect_objects.detections import MOST, OVERLAP, SURE

SUPPRESSED = "boxes"
"""The output of a file that holds what follows the network too (`distill.tasks.detect_objects.flat.Final`)."""
_SEEN = '''
def shown(picture):
    """Width and height that a picture takes of the input: as large as fits, in its own shape."""
    scale = min({{height}} / picture.height, {{width}} / picture.width)
    width, height = round(picture.width * scale), round(picture.height * scale)
    return max(1, min({{width}}, width)), max(1, min({{height}}, height))


def prepare(path):
    """(1, {{channels}}, {{height}}, {{width}}): an image file in the upper left, the rest of it in the mean colour."""
    picture = Image.open(path).convert("{{mode}}")
    image = Image.new("{{mode}}", ({{width}}, {{height}}), {colour})
    image.paste(picture.resize(shown(picture), Image.Resampling.{{resampling}}))
'''
_SCALED = """classes = {classes}
picture = Image.open("image.png")
width, height = shown(picture)
scale = np.array([picture.width / width, picture.height / height] * 2)
border = np.array([picture.width, picture.height] * 2)
least_score = {least}
"""
_OVERLAPPING = """

def overlap(a, b):
    \"\"\"Intersection over union.\"\"\"
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    both, areas = sides.prod(), [np.clip(box[2:] - box[:2], 0, None).prod() for box in (a, b)]
    return both / max(sum(areas) - both, 1e-7)


"""
_FLAT = """boxes, scores, found = output[0, :, :4], output[0, :, 4:], []
for number in range(len(classes)):
    left = [i for i in np.argsort(-scores[:, number], kind="stable") if scores[i, number] >= least_score]
    while left:
        best, *left = left
        found.append((float(scores[best, number]), number, boxes[best]))
{suppress}for score, number, box in sorted(found, key=lambda each: -each[0])[:{most}]:
    corners = np.clip(box * scale, 0, border)  # x1 y1 x2 y2 in pixels of the picture
    print((classes[number], score, corners.tolist()))
"""
_FINAL = """for *box, score, number in output[0].tolist():
    if number >= 0 and score >= least_score:
        print((classes[int(number)], score, np.clip(np.array(box) * scale, 0, border).tolist()))
"""
_SUPPRESS = "        left = [i for i in left if overlap(boxes[best], boxes[i]) <= {overlap}]\n"


def program(context: Context, graph: Graph, suppresses: bool) -> Around | None:
    """It prints a class, a score and the corners of each box of a score of at least 0.3, in pixels of the picture, as
    `student.predict` gives them. `suppresses`: whether boxes that overlap are answers for one object. None of 16-bit
    grey."""
    how = context.preprocessing
    colour = mean_colour(how.mode, how)
    scaled = _SCALED.format(classes=ascii(list(context.classes)), least=SURE)
    seen = _SEEN.format(colour=colour)
    if graph.output == SUPPRESSED:
        return around(context, graph, scaled + _FINAL, seen)
    suppress = _SUPPRESS.format(overlap=OVERLAP) if suppresses else ""
    read = (_OVERLAPPING if suppresses else "") + scaled + _FLAT.format(suppress=suppress, most=MOST)
    return around(context, graph, read, seen)
