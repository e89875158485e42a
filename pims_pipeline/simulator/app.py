"""The simulator's routes in one ASGI application. Rules belong in the modules of the routes."""

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from pims_pipeline.simulator.callers import OwnCallers
from pims_pipeline.simulator.control import router as control_router
from pims_pipeline.simulator.people import pages, sign_in
from pims_pipeline.simulator.practice.calendar import EditRefused, UnknownEntry
from pims_pipeline.simulator.practice.clinics import VETSPIRE_SIGN_IN, SimulatorConfig
from pims_pipeline.simulator.state import build_simulator
from pims_pipeline.simulator.vendors.idexx_neo import endpoints, login, login_steps
from pims_pipeline.simulator.vendors.vetspire import endpoint as vetspire


def build_app(config: SimulatorConfig) -> FastAPI:
    """The whole simulator as an ASGI application.

    Raises:
        ValueError: If ``config`` cannot be played, see ``build_simulator``.
    """
    app = FastAPI(title="Vendor simulator", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.simulator = build_simulator(config)
    app.add_route("/login", login.show_login, methods=["GET"])
    app.add_route("/login", login.take_login, methods=["POST"])
    app.add_route("/login/code", login.show_code, methods=["GET"])
    app.add_route("/login/code", login.take_code, methods=["POST"])
    app.add_route("/login/terms", login.show_terms, methods=["GET"])
    app.add_route("/login/terms", login.take_terms, methods=["POST"])
    app.add_route("/login/form", login.show_inner_form, methods=["GET"])
    app.add_route("/sso", login.show_sign_on, methods=["GET"])
    app.add_route("/welcome/{step}", login_steps.show_step, methods=["GET"])
    app.add_route("/welcome/{step}", login_steps.pass_step, methods=["POST"])
    app.add_route("/logout", sign_in.sign_out, methods=["POST"])
    app.add_route("/appointments/getCalendarEventData", endpoints.listing, methods=["GET"])
    app.add_route("/appointments/getAppointment", endpoints.appointment, methods=["GET"])
    app.add_route("/appointments/getAppointmentView", endpoints.dictionary, methods=["GET"])
    app.add_route(
        "/consultations/{consultation_id}/page-data", endpoints.consultation, methods=["GET"]
    )
    app.add_route("/graphql", vetspire.graphql, methods=["POST"])
    app.add_route(VETSPIRE_SIGN_IN, sign_in.show_sign_in, methods=["GET"])
    app.add_route(VETSPIRE_SIGN_IN, sign_in.take_sign_in, methods=["POST"])
    app.add_route("/", pages.show_calendar, methods=["GET"])
    app.add_route("/calendar/book", pages.take_booking, methods=["POST"])
    app.add_route("/calendar/{entry_id}/{action}", pages.take_edit, methods=["POST"])
    app.include_router(control_router)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(UnknownEntry, _unknown)
    app.add_exception_handler(EditRefused, _refused)
    app.add_middleware(OwnCallers)
    return app


async def _bad_request(_request: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    message = "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'][1:]) or 'body'}: {problem['msg']}"
        for problem in problems
    )
    return JSONResponse({"error": message}, status_code=400)


async def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, status_code=error.status_code)


async def _unknown(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=404)


async def _refused(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)
