from django.urls import path

from tasks.api.views import SubmitView, TaskView

urlpatterns = [
    path("submit", SubmitView.as_view(), name="submit"),
    # Any text, so that what is no UUID gets the same 404 as an unknown one.
    path("tasks/<str:task_id>", TaskView.as_view(), name="task"),
]
